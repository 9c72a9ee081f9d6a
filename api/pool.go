package api

// PoolHost is a machine of the installation's that a project may take as a server.
type PoolHost struct {
	// What to ask for to get it.
	ServerModelName string `json:"server_model_name"`
	// How many phones a server on it has, or as many as the phone model allows.
	PhoneCount int `json:"phone_count"`
	// The key pair that a server on it begins with.
	Keypair string `json:"keypair,omitempty"`
	// Whether no server is on it.
	Free bool `json:"free"`
	// These four are told to the operator's account only: how the host is called and reached, and who may take it (absent: every account).
	Name     string   `json:"name,omitempty"`
	Driver   string   `json:"driver,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
}

// PoolHosts is a list of hosts of the pool, in the configuration's order.
type PoolHosts struct {
	Hosts []PoolHost `json:"hosts"`
	Count int        `json:"count"`
}

// CreateServers asks for servers on hosts of the pool: all of them or none.
type CreateServers struct {
	// At most 60 letters, digits, - or _; unique in the project. Of several servers NAME-0001 and so on.
	ServerName string `json:"server_name"`
	// What the hosts must be.
	ServerModelName string `json:"server_model_name"`
	// What the phones are; absent: lethe.cp.standard.
	PhoneModelName string `json:"phone_model_name,omitempty"`
	// The image that the phones boot first.
	ImageID string `json:"image_id"`
	// 1 to 10; 0 is 1.
	Count int `json:"count,omitempty"`
	// The key pair that the hosts must have; absent: any host will do.
	Keypair string `json:"keypair,omitempty"`
	// The properties that every phone gets, a JSON object as text, as in the CPH API.
	Property string `json:"property,omitempty"`
}

// CreatedServers names the new servers. The request's jobs create their phones.
type CreatedServers struct {
	RequestID string   `json:"request_id"`
	ServerIDs []string `json:"server_ids"`
}

package api

// Credentials is the file credentials.json: everything one needs to call an installation. lethe serve writes it at its first
// start (mode 0600), the CLI reads it, and no call sends it.
type Credentials struct {
	// http://127.0.0.1:8774
	Endpoint string `json:"endpoint"`
	// What SDKs call the project's name.
	Region    string `json:"region"`
	Account   string `json:"account"`
	AccountID string `json:"account_id"`
	User      string `json:"user"`
	Password  string `json:"password"`
	Project   string `json:"project"`
	ProjectID string `json:"project_id"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// String keeps password and secret key out of messages and logs.
func (c Credentials) String() string {
	return "credentials of user " + c.User + ", access key " + c.AccessKey
}

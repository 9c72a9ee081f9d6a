package api

// Tag is a word that the project hangs on a server.
type Tag struct {
	// 1 to 127 characters; a server has each key once.
	Key string `json:"key"`
	// 1 to 255 characters.
	Value string `json:"value"`
}

// Tags are a server's tags, by key.
type Tags struct {
	Tags []Tag `json:"tags"`
}

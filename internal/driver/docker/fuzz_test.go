package docker

import "testing"

// FuzzParseTemplate reads the configuration of a server as its caller sent it.
func FuzzParseTemplate(f *testing.F) {
	f.Add([]byte(`{"init_args":["androidboot.use_memfd=1"],"memory":"4g"}`), "unix:///var/run/docker.sock")
	f.Add([]byte(`{}`), "tcp://10.0.0.1:2376")
	f.Add([]byte(`null`), "")
	f.Fuzz(func(_ *testing.T, config []byte, endpoint string) {
		_, _ = ParseTemplate(config, endpoint)
	})
}

package simulated

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// A host that is lost while a phone boots for the first time does not come back as a folder with that phone's files in it.
func TestFirstBootMakesNoHost(t *testing.T) {
	t.Parallel()
	d, dir, owner := newHost(t, Config{DataFiles: 8})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	i := &instance{label: label{
		Installation: owner.Installation, Server: owner.Server, Phone: phone.NewID[phone.ID](), Generation: 1, Job: phone.NewID[phone.JobID](),
	}}
	if err := d.seed(t.Context(), i); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first boot on a lost host ended with %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lost host's folder is there again: %v", err)
	}
}

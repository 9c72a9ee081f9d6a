package docker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/phone"
)

// Docker makes a volume that a container names and that is not there. One that is removed while the instance is made anew must not come back
// empty in the place of the phone's data.
func TestRemakeNeverStartsOnAnEmptyVolume(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"seen at once": false, "seen by the next call": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, fastBoot)
			spec := w.spec()
			made := w.ensure(spec)
			taken := false
			proxied := newProxy(t, w.endpoint, func(r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasPrefix(unversioned(r.URL.Path), "/containers/create") || taken {
					return false
				}
				taken = true // the old container is removed already: nothing uses the volume
				_, err := w.raw.VolumeRemove(w.ctx, made.Volume, client.VolumeRemoveOptions{})
				report(t, err)
				return lost
			})
			other := spec
			other.Job, other.Properties = phone.NewID[phone.JobID](), phone.Properties{"ro.product.model": "X"}
			_, err := open(t, proxied.endpoint, w.owner, fastBoot).Remake(w.ctx, other)
			if want := map[bool]phone.Code{false: phone.NotFound, true: phone.Unavailable}[lost]; phone.CodeOf(err) != want || !taken {
				t.Fatalf("Remake while the volume goes: %v, want %s", err, want)
			}
			if i, err := w.d.Inspect(w.ctx, spec.Ref); lost && (err != nil || i.Made != "" || i.Volume != "") || !lost && phone.CodeOf(err) != phone.NotFound {
				t.Errorf("Inspect: %+v, %v", i, err)
			}
			if err := w.d.Start(w.ctx, spec.Ref); phone.CodeOf(err) != phone.NotFound {
				t.Errorf("Start: %v", err)
			}
			if _, err = w.d.Remake(w.ctx, other); phone.CodeOf(err) != phone.NotFound || phone.ReasonOf(err) != phone.ReasonVolumeGone {
				t.Errorf("Remake again: %v", err)
			}
			if objects, err := w.d.List(w.ctx); err != nil || len(objects) > 0 {
				t.Errorf("the host has %+v, %v", objects, err)
			}
		})
	}
}

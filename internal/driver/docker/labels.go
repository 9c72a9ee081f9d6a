package docker

import (
	"fmt"
	"strconv"

	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// The labels of what lethe makes on a host. A thing without this installation's label is never touched.
const (
	labelInstallation = "cloud.lethe.installation"
	labelKind         = "cloud.lethe.kind"
	labelServer       = "cloud.lethe.server"
	labelProject      = "cloud.lethe.project"
	labelPhone        = "cloud.lethe.phone"
	labelGeneration   = "cloud.lethe.generation"
	labelJob          = "cloud.lethe.job"
	labelName         = "cloud.lethe.name"     // the phone's, for people
	labelDigest       = "cloud.lethe.digest"   // the image's repository digest, as Prepare gave it
	labelHolder       = "cloud.lethe.holder"   // of a helper container: the data folder whose process made it
	labelSpec         = "cloud.lethe.spec"     // digest of everything that makes the container what it is
	labelMade         = "cloud.lethe.made"     // of a container: see driver.Instance
	labelStandIn      = "cloud.lethe.stand-in" // of a volume that Docker made in place of one that was gone: it never had a phone's data
)

// The values of labelKind.
const (
	kindInstance = "instance"
	kindVolume   = "volume"
	kindNetwork  = "network"
	kindShare    = "share"  // the volume with a server's shared storage
	kindHelper   = "helper" // the container that empties volumes
)

// instanceName and volumeName carry the generation, so that a call that lands late hits the life it was meant for.
func instanceName(ref driver.Ref) string {
	return fmt.Sprintf("lethe-%s-g%d", ref.Phone, ref.Generation)
}

func volumeName(ref driver.Ref) string { return instanceName(ref) + "-data" }

// lifeLabels are the labels that a life's container and volume have in common.
func (d *Driver) lifeLabels(kind string, spec driver.Spec) map[string]string {
	return map[string]string{
		labelInstallation: d.host.installation,
		labelKind:         kind,
		labelServer:       string(d.server),
		labelProject:      string(spec.Project),
		labelPhone:        string(spec.Phone),
		labelGeneration:   strconv.FormatInt(int64(spec.Generation), 10),
		labelJob:          string(spec.Job),
		labelName:         spec.Name,
	}
}

// ours reports whether labels are those of a thing of that kind that this installation made.
func (h *host) ours(kind string, labels map[string]string) bool {
	return labels[labelInstallation] == h.installation && labels[labelKind] == kind
}

// refOf reads whose life a labelled thing belongs to.
func refOf(labels map[string]string) (driver.Ref, bool) {
	generation, err := strconv.ParseInt(labels[labelGeneration], 10, 64)
	ref := driver.Ref{Phone: phone.ID(labels[labelPhone]), Generation: phone.Generation(generation)}
	return ref, err == nil && ref.Phone != ""
}

// labelled is the filter for things of this installation with all of these labels, given as name, value, name, value.
func (h *host) labelled(pairs ...string) client.Filters {
	f := make(client.Filters).Add("label", labelInstallation+"="+h.installation)
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Add("label", pairs[i]+"="+pairs[i+1])
	}
	return f
}

package docker

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lethe-cloud/lethe/internal/adb"
	"github.com/lethe-cloud/lethe/internal/driver"
	"github.com/lethe-cloud/lethe/internal/phone"
)

// Inspect looks at the container and, while it runs, asks the phone whether it has booted: sys.boot_completed is 1, the package
// manager answers, and adb answers on the published port. A phone that has not got as far as the first costs one command.
func (d *Driver) Inspect(ctx context.Context, ref driver.Ref) (driver.Instance, error) {
	found, err := d.find(ctx, ref)
	if err != nil {
		return driver.Instance{}, err
	}
	return d.instance(ctx, found)
}

// maxLog is how much of the end of a log is kept, in bytes.
const maxLog = 2 << 10

func (d *Driver) instance(ctx context.Context, found container.InspectResponse) (driver.Instance, error) {
	i := d.describe(found)
	if !i.Running {
		standIn, err := d.host.standIn(ctx, found)
		if err != nil {
			return driver.Instance{}, err
		}
		if standIn {
			i.Volume, i.Made = "", ""
		}
	}
	if i.Running {
		waiting, ended, err := d.waitingFor(ctx, found)
		if err != nil {
			return driver.Instance{}, err
		}
		if !ended {
			i.Booted, i.Waiting = waiting == "", waiting
			if !i.Booted {
				i.CheckAfter = checkAfter(d.host.now(), found.State.StartedAt)
			}
			return i, nil
		}
		if found, err = d.host.inspect(ctx, found.ID); err != nil { // it ended between two questions
			return driver.Instance{}, err
		}
		i = d.describe(found)
	}
	if i.Exited {
		log, err := d.host.logTail(ctx, found)
		if err != nil {
			return driver.Instance{}, err
		}
		first := explain(found.State)
		i.Log = first + tail(log, maxLog-len(first))
	}
	return i, nil
}

// explain says what an exit code means for a phone, where that is known, as a line before its log. Source for 129: the issues
// of redroid-doc (4, 753, 790, 875).
func explain(state *container.State) string {
	switch {
	case state.OOMKilled:
		return "lethe: the kernel ended the phone for lack of memory: raise memory in the server's template\n"
	case state.ExitCode == 129:
		return "lethe: Android's init ends with 129 when the host's kernel lacks binderfs, or lacks ashmem (from 5.18 on set androidboot.use_memfd=1), " +
			"or when a 32-bit image meets a 64-bit-only CPU (use a _64only image)\n"
	}
	return ""
}

// describe gives what the container itself tells.
func (d *Driver) describe(found container.InspectResponse) driver.Instance {
	ref, _ := refOf(found.Config.Labels)
	i := driver.Instance{
		Ref:      ref,
		Name:     strings.TrimPrefix(found.Name, "/"),
		Running:  found.State.Running,
		Identity: phone.ImageIdentity{ID: found.Image, Digest: found.Config.Labels[labelDigest]},
		Made:     found.Config.Labels[labelMade],
	}
	if started, err := time.Parse(time.RFC3339Nano, found.State.StartedAt); err == nil && started.Year() > 1 && !i.Running {
		i.Exited, i.ExitCode = true, found.State.ExitCode
	}
	for _, m := range found.Mounts {
		if m.Destination == dataPath {
			i.Volume = m.Name
		}
	}
	for _, binding := range found.HostConfig.PortBindings[adbPort] {
		i.Address = net.JoinHostPort(d.template.listed, binding.HostPort)
	}
	return i
}

// checkAfter is when a booting phone is worth another look: after a twentieth of the time that it has been booting, so that
// the boot is noticed at most that much late, and a slow phone is not kept busy with questions. The two clocks may differ.
func checkAfter(now time.Time, startedAt string) time.Duration {
	started, err := time.Parse(time.RFC3339Nano, startedAt)
	if err != nil {
		return 50 * time.Millisecond
	}
	return min(max(now.Sub(started)/20, 50*time.Millisecond), time.Second)
}

// questionLimit bounds each question to a phone: one that hangs has not booted.
const questionLimit = 5 * time.Second

// waitingFor says what a running phone still lacks, "" when it has booted; ended means that it runs no more.
func (d *Driver) waitingFor(ctx context.Context, found container.InspectResponse) (lacks string, ended bool, err error) {
	for _, question := range []struct {
		args    []string
		answers func(stdout string) bool
		lacks   string
	}{
		{[]string{"getprop", "sys.boot_completed"}, func(s string) bool { return strings.TrimSpace(s) == "1" }, "sys.boot_completed is not 1"},
		{[]string{"pm", "path", "android"}, func(s string) bool { return strings.HasPrefix(s, "package:") }, "the package manager does not answer"},
	} {
		answer, err := d.host.ask(ctx, found.ID, question.args)
		if phone.CodeOf(err) == phone.Precondition {
			return "", true, nil
		}
		if err != nil {
			return "", false, err
		}
		if !question.answers(answer) {
			return question.lacks, false, nil
		}
	}
	lacks, err = d.waitingForADB(ctx, found)
	return lacks, false, err
}

func (d *Driver) waitingForADB(ctx context.Context, found container.InspectResponse) (string, error) {
	if d.template.probe == "" {
		return "", nil
	}
	for _, binding := range found.HostConfig.PortBindings[adbPort] {
		if err := adb.Probe(ctx, net.JoinHostPort(d.template.probe, binding.HostPort), questionLimit); err != nil {
			if ctx.Err() != nil {
				return "", classify("ask the phone's adb", ctx.Err())
			}
			return "adb does not answer: " + err.Error(), nil
		}
	}
	return "", nil
}

// ask runs a program in the phone and gives what it printed. A phone that does not get it done in questionLimit gives "".
func (h *host) ask(ctx context.Context, id string, args []string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, questionLimit)
	defer cancel()
	stdout := bounded{limit: 4 << 10}
	_, err := h.stream(limited, id, driver.Command{Args: args}, &stdout, io.Discard)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return "", nil
	}
	return string(stdout.kept), err
}

// logTail gives the last lines of an ended container's log.
func (h *host) logTail(ctx context.Context, found container.InspectResponse) (string, error) {
	logs, err := h.api.ContainerLogs(ctx, found.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: "100"})
	if err != nil {
		err = classify("read the container's log", err)
		if code := phone.CodeOf(err); code == phone.NotFound || code == phone.Unavailable {
			return "", err
		}
		return "(" + err.Error() + ")", nil // a log driver that cannot be read, on a container that somebody changed
	}
	defer logs.Close()
	var text bytes.Buffer
	if found.Config.Tty {
		_, err = io.Copy(&text, logs)
	} else {
		_, err = stdcopy.StdCopy(&text, &text, logs)
	}
	if err != nil {
		return "", classify("read the container's log", err)
	}
	return text.String(), nil
}

// tail gives the last whole lines of text that fit into limit bytes, as valid UTF-8.
func tail(text string, limit int) string {
	text = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r\n", "\n"))
	if len(text) <= limit {
		return text
	}
	cut := text[len(text)-limit:]
	if _, lines, found := strings.Cut(cut, "\n"); found {
		return lines
	}
	return strings.ToValidUTF8(cut, "")
}

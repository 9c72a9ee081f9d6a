package simphone

import (
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// ignoreSignals makes the phone deaf to what asks it to end, as Android's init is: only SIGKILL ends it.
func ignoreSignals() {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
}

// killProcess ends a process, or the group of a number below zero.
func killProcess(pid int) error { return unix.Kill(pid, unix.SIGKILL) }

// reapOrphans collects the exit codes of processes whose parents ended before them; process 1 inherits those. It never returns.
func reapOrphans() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if pid > 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		<-children
	}
}

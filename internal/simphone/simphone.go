// Package simphone is a phone to test with where no Android can run: one static program that, as process 1 of a container,
// behaves towards its control plane as redroid does. It takes its properties from its arguments by redroid's rules, ignores
// SIGTERM, fills /data with files of other users, reports its boot after a set time, and answers getprop, setprop, pm, a shell and
// the adb handshake. It runs no app and has no screen.
package simphone

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lethe-cloud/lethe/internal/imagetar"
)

// The arguments by which a phone is told how to behave, besides redroid's own. They reach it as ro.boot.simphone_... .
const (
	ArgBootMillis = "androidboot.simphone_boot_ms"   // from start to sys.boot_completed=1; 1000 when not given
	ArgFiles      = "androidboot.simphone_files"     // how many files a first boot writes into /data; 48 when not given
	ArgExitCode   = "androidboot.simphone_exit_code" // end with this exit code half way through the boot
	ArgHang       = "androidboot.simphone_hang"      // what never answers: HangBoot, HangPackages or HangADB
)

// The values of ArgHang.
const (
	HangBoot     = "boot" // sys.boot_completed stays unset
	HangPackages = "pm"   // it is set, but the package manager does not answer
	HangADB      = "adb"  // adb takes connections and says nothing
)

// The places of a phone's container that simphone uses.
const (
	binaryPath = "/init"
	socketPath = "/dev/socket/simphone"
	dataPath   = "/data"
)

// Applet reports whether a program called name (argv[0]) is one of the phone's commands. A program that serves as its own
// phone image hands over to Main when it is called by such a name.
func Applet(name string) bool { return applets[filepath.Base(name)] != nil }

// Main runs the phone itself, or the command that args[0] or args[1] names, and returns the exit code. Whatever else args holds
// is the phone's: it reads its arguments from /proc/self/cmdline, as Android's init does.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	for i, arg := range args[:min(2, len(args))] {
		if applet := applets[filepath.Base(arg)]; applet != nil {
			return applet(call{args: args[i+1:], root: "/", stdin: stdin, stdout: stdout, stderr: stderr})
		}
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(stderr, "simphone is the first process of a container: load its image and start that, do not start the program by hand")
		return 2
	}
	cmdline, err := os.ReadFile("/proc/self/cmdline")
	if err != nil {
		fmt.Fprintln(stderr, "init:", err)
		return 1
	}
	ignoreSignals()
	go reapOrphans()
	m := machine{root: "/", adbAddress: ":5555", cmdline: cmdline, log: stdout, chown: os.Lchown}
	return m.run(context.Background())
}

// Image describes the container image whose phone is the static program binary. With the arguments in between, the program is
// called as the image's first process; it must hand over to Main then, and when Applet knows the name it is called by.
func Image(binary, architecture string, between ...string) imagetar.Image {
	var links []string
	for name := range applets {
		links = append(links, "/system/bin/"+name)
	}
	return imagetar.Image{
		Name:         "lethe-simphone",
		Architecture: architecture,
		Binary:       binary,
		Path:         binaryPath,
		Links:        links,
		Dirs:         []string{dataPath},
		Entrypoint:   append(append([]string{binaryPath}, between...), "qemu=1", "androidboot.hardware=redroid"), // as redroid's image has it
		Env:          []string{"PATH=/system/bin"},
		Labels:       map[string]string{"cloud.lethe.simphone": "true"},
	}
}

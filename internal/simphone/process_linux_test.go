package simphone

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asInit is the environment variable under which the test program plays process 1 for TestReapsOrphans.
const asInit = "SIMPHONE_TEST_AS_INIT"

func TestMain(m *testing.M) {
	if os.Getenv(asInit) != "" {
		os.Exit(playInit())
	}
	os.Exit(m.Run())
}

// playInit leaves orphans behind and ends with 0 when the phone's init has collected them and was not ended by a signal.
func playInit() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil { // orphans come to this process, as to process 1
		fmt.Println("prctl:", err)
		return 1
	}
	ignoreSignals()
	go reapOrphans()
	for range 5 {
		_, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "/bin/true & /bin/true & exit 3"}, &syscall.ProcAttr{Env: os.Environ()})
		if err != nil {
			fmt.Println("fork:", err)
			return 1
		}
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		if err := unix.Kill(os.Getpid(), signal); err != nil {
			fmt.Println("kill:", err)
			return 1
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		children, err := childrenOfAllThreads()
		if err == nil && children == "" {
			fmt.Println("all collected")
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Println("left:", children, err)
			return 1
		}
		time.Sleep(time.Millisecond) // between two polls
	}
}

func childrenOfAllThreads() (string, error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, thread := range threads {
		children, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/children")
		if err != nil && !os.IsNotExist(err) {
			return "", err
		}
		all.Write(children)
	}
	return all.String(), nil
}

func TestReapsOrphansAndIgnoresSignals(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asInit+"=1")
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "all collected") {
		t.Errorf("%v\n%s", err, said)
	}
}

// Package deploytest tries what deploy/ ships with the real tools: promtool over
// the rules, and a Prometheus that watches a server under load. They are in
// Debian's package prometheus. Where they are missing the tests are skipped,
// unless PREHEAT_PROMETHEUS is "required".
package deploytest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds what should happen soon, on a machine that has a lot else to
// do.
const patience = 60 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tool returns the path of promtool or prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("PREHEAT_PROMETHEUS") == "required" {
		t.Fatalf("PREHEAT_PROMETHEUS=required, but there is no %s", name)
	}
	t.Skipf("needs %s; `make testtools` installs it", name)
	return ""
}

// run runs a command to its end.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// process is a running program that writes a log to stderr.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}   // closed when the log has ended
	log   strings.Builder // read it after ended
}

// start starts cmd and waits for a line in its log; it returns what the group of
// that pattern matched. The test's end stops the process.
func start(t *testing.T, cmd *exec.Cmd, line *regexp.Regexp) (*process, string) {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() { // ends with the process
		defer close(p.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&p.log, lines.Text())
			if m := line.FindStringSubmatch(lines.Text()); m != nil && len(found) == 0 {
				found <- m[1]
			}
		}
	}()
	t.Cleanup(func() { p.stop(t) })
	select {
	case match := <-found:
		return p, match
	case <-p.ended:
		t.Fatalf("%s ended: %s", cmd.Path, p.log.String())
	case <-time.After(patience):
		t.Fatalf("%s does not get ready", cmd.Path)
	}
	return nil, ""
}

func (p *process) stop(t *testing.T) {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%s ended with %v: %s", p.cmd.Path, err, p.log.String())
	}
}

// eventually polls until nothing is missing any more; missing says what is.
func eventually(t *testing.T, missing func() string) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		what := missing()
		if what == "" {
			return
		}
		if time.Since(start) > patience {
			t.Fatalf("there is still no %s", what)
		}
	}
}

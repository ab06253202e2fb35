package docker

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// findRunsc returns why sandboxes of gVisor cannot be tested on this Engine, or
// nil. Where PREHEAT_RUNSC=required is set, the test fails if they cannot.
func findRunsc(t *testing.T, d *Driver) error {
	t.Helper()
	runsc, err := d.Runtime(t.Context(), "runsc")
	if err == nil && len(runsc.Warnings) > 0 {
		err = errors.New(strings.Join(runsc.Warnings, "; "))
	}
	if err != nil && os.Getenv("PREHEAT_RUNSC") == "required" {
		t.Fatalf("PREHEAT_RUNSC=required, but %v", err)
	}
	return err
}

// newRunscDriver is newDriver on an Engine that has gVisor.
func newRunscDriver(t *testing.T) (*Driver, *client.Client) {
	t.Helper()
	d, cli := newDriver(t)
	if err := findRunsc(t, d); err != nil {
		t.Skip(err)
	}
	return d, cli
}

func runscLanguage(t *testing.T, cli *client.Client, name string) sandbox.Language {
	t.Helper()
	lang := enginetest.Language(t, cli, name)
	lang.Runtime = "runsc"
	return lang
}

func TestDriverKeepsTheContractInGVisor(t *testing.T) {
	for name, programs := range map[string]sandboxtest.Programs{"python": sandboxtest.Python, "node": sandboxtest.Node} {
		t.Run(name, func(t *testing.T) {
			d, cli := newRunscDriver(t)
			sandboxtest.Suite(t, sandboxtest.Subject{
				Driver:   func(*testing.T) sandbox.Driver { return unclosed{d} },
				Language: runscLanguage(t, cli, name),
				Programs: programs,
				Live:     func() int { return count(t, cli, d.cfg.Instance) },
				Kill: func(t *testing.T, id string) {
					if err := cli.ContainerKill(t.Context(), id, "KILL"); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

// Releases of gVisor say one of these, whatever kernel the machine has.
var gVisorKernel = regexp.MustCompile(`^Linux version (4\.4\.0 #1 SMP Sun Jan 10|\S*gvisor)`)

func TestTheKernelOfASandboxIsGVisors(t *testing.T) {
	d, cli := newRunscDriver(t)
	for name, source := range map[string]string{
		"python": "print(open('/proc/version').read())",
		"node":   "console.log(require('fs').readFileSync('/proc/version', 'utf8'))",
	} {
		lang := runscLanguage(t, cli, name)
		var out sandbox.Capture
		if _, err := launch(t, d, lang).Run(t.Context(), program(lang, source), &out); err != nil {
			t.Fatal(err)
		}
		if stdout, stderr := out.Strings(); !gVisorKernel.MatchString(stdout) {
			t.Errorf("%s printed %q; stderr %q", name, stdout, stderr)
		}
	}
}

// The kernel's OOM killer knows one process, gVisor, so a child takes its
// parent with it.
func TestOutOfMemoryInGVisorIsToldApart(t *testing.T) {
	d, cli := newRunscDriver(t)
	lang := runscLanguage(t, cli, "python")
	const fill = "f = open('%s', 'wb')\nb = [bytearray(90 << 20)]\nwhile True: f.write(bytes(1 << 20)); f.flush()"
	for _, test := range []struct {
		name, source string
		want         sandbox.Status
		code         int
	}{
		{"page by page", "b = []\nwhile True: b.append(bytearray(1 << 20))", sandbox.OutOfMemory, 137},
		{"the work folder filled", strings.Replace(fill, "%s", "x", 1), sandbox.OutOfMemory, 137},
		{"a child", "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'b = bytearray(10**9)'])", sandbox.OutOfMemory, 137},
		{"SIGKILL of itself", "import os\nos.kill(os.getpid(), 9)", sandbox.Error, 137},
		{"MemoryError", "raise MemoryError", sandbox.Error, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out sandbox.Capture
			res, err := launch(t, d, lang).Run(t.Context(), program(lang, test.source), &out)
			if err != nil || res.Status != test.want || res.ExitCode != test.code {
				_, stderr := out.Strings()
				t.Errorf("got %s, exit code %d, %v; want %s, %d; stderr %q", res.Status, res.ExitCode, err, test.want, test.code, stderr)
			}
		})
	}
}

// In gVisor a program can kill the first process, and write to its stream.
func TestAProgramThatBreaksItsAgentInGVisorEndsItsOwnRun(t *testing.T) {
	d, cli := newRunscDriver(t)
	lang := runscLanguage(t, cli, "python")
	for name, source := range map[string]string{
		"killed":             "import os\nos.kill(1, 9)",
		"its output written": "open('/proc/1/fd/1', 'wb').write(b'\\xff' * 8)",
		"a fork bomb":        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
	} {
		t.Run(name, func(t *testing.T) {
			res, err := launch(t, d, lang).Run(t.Context(), program(lang, source+"\nwhile True: pass"), new(sandbox.Capture))
			if err != nil || res.Status != sandbox.Error && res.Status != sandbox.OutOfMemory || res.ExitCode != sandbox.ExitKilled {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
}

// What the Engine reads is the cgroup that gVisor is in; with --ignore-cgroups
// that is none of the sandbox's.
func TestTheLimitsOfASandboxHoldInGVisor(t *testing.T) {
	d, cli := newRunscDriver(t)
	lang := runscLanguage(t, cli, "python")
	s := launch(t, d, lang)
	p := program(lang, "import threading\ndef spin():\n  while True: hash('x' * 10**7)\nfor _ in range(3): threading.Thread(target=spin).start()")
	p.Timeout = 3 * time.Second
	ended := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), p, new(sandbox.Capture))
		ended <- err
	}()
	time.Sleep(2 * time.Second)
	answer, err := cli.ContainerStatsOneShot(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := stats.MemoryStats; got.Limit != uint64(lang.Limits.MemoryBytes) || got.Usage < 1<<20 {
		t.Errorf("memory: %d of %d bytes", got.Usage, got.Limit)
	}
	if got := stats.PidsStats; got.Limit != uint64(lang.Limits.Pids) || got.Current < 2 {
		t.Errorf("processes: %d of %d", got.Current, got.Limit)
	}
	if stats.CPUStats.ThrottlingData.ThrottledPeriods == 0 {
		t.Errorf("three threads that spin are not throttled: %+v", stats.CPUStats)
	}
}

// A profile that gVisor reads otherwise than Linux does would show in threads:
// they need clone3 to be ENOSYS.
func TestTheSeccompProfileHoldsInGVisor(t *testing.T) {
	d, cli := newRunscDriver(t)
	lang := runscLanguage(t, cli, "python")
	const source = `
import ctypes, errno, socket, threading
print([line for line in open("/proc/self/status") if line.startswith("Seccomp:")])
thread = threading.Thread(target=print, args=["a thread"])
thread.start()
thread.join()
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(435, None, 0), errno.errorcode[ctypes.get_errno()])
try:
    socket.socket(socket.AF_INET)
except OSError as e:
    print("no socket")
`
	var out sandbox.Capture
	if _, err := launch(t, d, lang).Run(t.Context(), program(lang, source), &out); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := out.Strings()
	if want := "['Seccomp:\\t2\\n']\na thread\n-1 ENOSYS\nno socket\n"; stdout != want {
		t.Errorf("printed %q, want %q; stderr %q", stdout, want, stderr)
	}
}

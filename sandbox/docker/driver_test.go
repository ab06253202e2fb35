package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDriver returns a driver of an instance of its own on a real Engine, which
// must have none of its containers when the test ends.
func newDriver(t testing.TB) (*Driver, *client.Client) {
	t.Helper()
	cli := enginetest.Client(t)
	api, err := NewClient()
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(api, Config{Instance: fmt.Sprintf("test-%s-%d", t.Name(), time.Now().UnixNano())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanUp)
		defer cancel()
		if n := count(t, cli, d.cfg.Instance); n != 0 {
			t.Errorf("%d containers are left", n)
		}
		d.Reap(ctx)
		d.Close()
	})
	return d, cli
}

// count returns how many containers of an instance the Engine has, dead or alive.
func count(t testing.TB, cli *client.Client, instance string) int {
	t.Helper()
	return len(enginetest.Containers(t, cli, instance))
}

func launch(t *testing.T, d *Driver, lang sandbox.Language) *Sandbox {
	t.Helper()
	s, err := d.Launch(t.Context(), lang)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.(*Sandbox)
}

func program(lang sandbox.Language, source string) sandbox.Program {
	return sandbox.Program{
		Files:       []sandbox.File{{Name: lang.Entry, Content: []byte(source)}},
		Timeout:     30 * time.Second,
		OutputBytes: 64 << 10,
	}
}

func TestDriverKeepsTheContract(t *testing.T) {
	for _, test := range []struct {
		name, language string
		programs       sandboxtest.Programs
		change         func(*sandbox.Language)
	}{
		{"python", "python", sandboxtest.Python, func(*sandbox.Language) {}},
		{"node", "node", sandboxtest.Node, func(*sandbox.Language) {}},
		{"python on demand", "python", sandboxtest.Python, onDemand},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, cli := newDriver(t)
			lang := enginetest.Language(t, cli, test.language)
			test.change(&lang)
			sandboxtest.Suite(t, sandboxtest.Subject{
				Driver:   func(*testing.T) sandbox.Driver { return unclosed{d} },
				Language: lang,
				Programs: test.programs,
				Resizes:  true,
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

// onDemand makes a language of one that has a warm-up.
func onDemand(lang *sandbox.Language) { lang.OnDemand, lang.Env = true, nil }

// unclosed leaves closing the driver to newDriver, which still needs it.
type unclosed struct{ *Driver }

func (unclosed) Close() error { return nil }

func TestTheAgentCannotBeReached(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	for name, source := range map[string]string{
		"killed":             "import os\nfor s in range(1, 65):\n    try: os.kill(1, s)\n    except OSError: pass",
		"its memory read":    "try: open('/proc/1/mem', 'rb')\nexcept PermissionError: pass",
		"its files listed":   "import os\ntry: os.listdir('/proc/1/fd')\nexcept PermissionError: pass",
		"its output written": "try: open('/proc/1/fd/1', 'wb').write(b'\\x84')\nexcept PermissionError: pass",
		"its environment":    "try: open('/proc/1/environ').read()\nexcept PermissionError: pass",
		"traced":             "import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == -1",
	} {
		t.Run(name, func(t *testing.T) {
			var out sandbox.Capture
			res, err := launch(t, d, lang).Run(t.Context(), program(lang, source+"\nprint('here')"), &out)
			stdout, stderr := out.Strings()
			if err != nil || res.Status != sandbox.OK || stdout != "here\n" {
				t.Errorf("got %+v, %v, stdout %q, stderr %q", res, err, stdout, stderr)
			}
		})
	}
}

func TestDescriptorsAndEnvironmentOfAProgram(t *testing.T) {
	d, cli := newDriver(t)
	for name, source := range map[string]string{
		"python": "import os\nfds = os.listdir('/proc/self/fd')\nprint(sorted(fds)[:3], len(fds), sorted(os.environ))",
		"node":   "const fs = require('fs');\nconst fds = [0, 1, 2, 3].filter((n) => { try { return fs.readlinkSync(`/proc/self/fd/${n}`).startsWith('socket') } catch { return false } });\nconsole.log(JSON.stringify([fds, Object.keys(process.env).sort()]))",
	} {
		lang := enginetest.Language(t, cli, name)
		var out sandbox.Capture
		if _, err := launch(t, d, lang).Run(t.Context(), program(lang, source), &out); err != nil {
			t.Fatal(err)
		}
		stdout, stderr := out.Strings()
		want := map[string]string{
			// The fourth is the listing itself.
			"python": "['0', '1', '2'] 4 ['HOME', 'HOSTNAME', 'LANG', 'LOGNAME', 'PATH', 'TMPDIR', 'USER']\n",
			"node":   `[[],["HOME","HOSTNAME","LANG","LOGNAME","PATH","TMPDIR","USER"]]` + "\n",
		}[name]
		if stdout != want {
			t.Errorf("%s printed %q, want %q; stderr %q", name, stdout, want, stderr)
		}
	}
}

func TestAProgramOnDemandIsStartedAsItIs(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	onDemand(&lang)
	for name, test := range map[string]struct {
		source, stdout string
		status         sandbox.Status
	}{
		"environment": {
			"import os, sys\nprint(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')), sorted(os.environ), sys.argv)",
			"['0', '1', '2'] 4 ['HOME', 'HOSTNAME', 'LANG', 'LOGNAME', 'NEW', 'PATH', 'TMPDIR', 'USER'] ['main.py', 'x']\n", sandbox.OK},
		"out of memory":     {"b = bytearray(10**9)", "", sandbox.OutOfMemory},
		"first to be ended": {"print(open('/proc/self/oom_score_adj').read())", "1000\n\n", sandbox.OK},
	} {
		t.Run(name, func(t *testing.T) {
			p := program(lang, test.source)
			p.Args, p.Env = []string{"x"}, []string{"NEW=1", "HOME=/nowhere"}
			var out sandbox.Capture
			res, err := launch(t, d, lang).Run(t.Context(), p, &out)
			if stdout, stderr := out.Strings(); err != nil || res.Status != test.status || stdout != test.stdout {
				t.Errorf("got %+v, %v, %q, %q", res, err, stdout, stderr)
			}
		})
	}
}

func TestLaunchOfAMissingImageSaysWhatToDo(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	lang.Image = "preheat-no-such-image:latest"
	if _, err := d.Launch(t.Context(), lang); err == nil || !strings.Contains(err.Error(), "preheat images build") {
		t.Errorf("got %v", err)
	}
}

func TestLaunchThatDoesNotWarmUpLeavesNothing(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	for name, command := range map[string][]string{
		"no such interpreter": {"no-such-interpreter"},
		"ends at once":        {"python3", "-c", "raise SystemExit('broken warm-up')"},
		"never ready":         {"sleep", "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			lang := lang
			lang.Command = command
			lang.Env = nil
			lang.Limits.Warmup = 3 * time.Second
			_, err := d.Launch(t.Context(), lang)
			if err == nil {
				t.Fatal("the launch succeeded")
			}
			if name == "ends at once" && !strings.Contains(err.Error(), "broken warm-up") {
				t.Errorf("the error does not say what the interpreter said: %v", err)
			}
			if n := count(t, cli, d.cfg.Instance); n != 0 {
				t.Errorf("%d containers are left", n)
			}
		})
	}
}

func TestLaunchThatIsCutOffLeavesNothing(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	for _, after := range []time.Duration{0, 1, 3, 10, 30, 60, 100} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		s, err := d.Launch(ctx, lang)
		cancel()
		if err == nil {
			t.Logf("warm within %d ms", after)
			s.Destroy(t.Context())
		}
	}
	time.Sleep(500 * time.Millisecond) // for what the Engine may still be making
	if n := count(t, cli, d.cfg.Instance); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}

func TestReapRemovesWhatACrashLeft(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	launch(t, d, lang)
	launch(t, d, lang)
	if n, err := d.Reap(t.Context()); n != 2 || err != nil {
		t.Errorf("Reap returned %d, %v; want 2", n, err)
	}
	if n := count(t, cli, d.cfg.Instance); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}

func TestSandboxesOfAServerThatDiedEndByThemselves(t *testing.T) {
	d, cli := newDriver(t)
	s := launch(t, d, enginetest.Language(t, cli, "python"))
	s.conn.Hangup() // what the kernel does to the connections of a killed process
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		info, err := cli.ContainerInspect(t.Context(), s.ID())
		if err != nil {
			t.Fatal(err)
		}
		if !info.State.Running {
			return
		}
		if time.Since(start) > 20*time.Second {
			t.Fatal("the sandbox still runs")
		}
	}
}

func TestUIDsAreDistinct(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	seen := map[string]bool{}
	for range 2 {
		var out sandbox.Capture
		if _, err := launch(t, d, lang).Run(t.Context(), program(lang, "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"), &out); err != nil {
			t.Fatal(err)
		}
		stdout, _ := out.Strings()
		seen[stdout] = true
		if strings.Contains(stdout, "(0") {
			t.Errorf("the ids are %s", stdout)
		}
	}
	if len(seen) != 2 {
		t.Errorf("two sandboxes had the ids %v", seen)
	}
}

func TestAnEngineThatIsNotThereIsToldApart(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	api, err := NewClient()
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(api, Config{Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Check(t.Context()); !errors.Is(err, sandbox.ErrEngine) {
		t.Errorf("Check: %v", err)
	}
	if _, err := d.Reap(t.Context()); !errors.Is(err, sandbox.ErrEngine) {
		t.Errorf("Reap: %v", err)
	}
}

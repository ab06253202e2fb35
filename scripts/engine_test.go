// Package scripts holds the test of the shell scripts beside it.
package scripts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// machine is a pretended one: a root, and a PATH with nothing but stubs and a
// few real tools. Each stub notes its call; the probe answers once the file
// "up" is there.
type machine struct {
	t    *testing.T
	root string
	env  []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir()}
	for _, dir := range []string{"bin", "var/log", "var/run/docker/containerd", "var/run/containerd"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.link("sh", "cat", "sleep", "tail", "grep", "rm", "date", "touch")
	m.stub("id", "echo 0")
	m.stub("probe", `test -e "$ROOT/up"`)
	m.stub("setsid", `exec "$@"`)
	m.stub("mmdebstrap", "")
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

// link puts real tools on the PATH.
func (m *machine) link(tools ...string) {
	m.t.Helper()
	for _, tool := range tools {
		real, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(real, m.path("bin/"+tool))
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

// stub puts a command on the PATH.
func (m *machine) stub(name, body string) {
	m.t.Helper()
	script := "#!" + m.path("bin/sh") + "\necho " + name + ` "$@" >>"$ROOT/calls"` + "\n" + body + "\n"
	if err := os.WriteFile(m.path("bin/"+name), []byte(script), 0o700); err != nil { //nolint:gosec // it must be executable
		m.t.Fatal(err)
	}
}

func (m *machine) write(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(m.path(name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) removeMmdebstrap() {
	m.t.Helper()
	if err := os.Remove(m.path("bin/mmdebstrap")); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) has(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// run runs engine.sh; see runScript.
func (m *machine) run() (code int, said, calls string) {
	m.t.Helper()
	return m.runScript("engine.sh", m.path("bin/probe"))
}

// runScript runs a script and returns its exit code, what it said, and the stubs'
// calls but for those that only ask.
func (m *machine) runScript(script ...string) (code int, said, calls string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), m.path("bin/sh"), script...)
	cmd.Env = append([]string{"PATH=" + m.path("bin"), "ROOT=" + m.root,
		"PREHEAT_ENGINE_ROOT=" + m.root, "PREHEAT_ENGINE_WAIT=2", "PREHEAT_RUNTIME_ROOT=" + m.root}, m.env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	noted, _ := os.ReadFile(m.path("calls")) // absent when nothing was called
	var kept []string
	for call := range strings.Lines(string(noted)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(call), " "); name != "id" && name != "probe" {
			kept = append(kept, strings.TrimSpace(call))
		}
	}
	return cmd.ProcessState.ExitCode(), string(out), strings.Join(kept, "; ")
}

func TestTheEngineScriptDecides(t *testing.T) {
	const daemonComesUp = `touch "$ROOT/up"; sleep 0.2`
	const installs = `case $1 in install) printf '#!%s/bin/sh\necho dockerd "$@" >>"$ROOT/calls"\ntouch "$ROOT/up"\nsleep 0.2\n' "$ROOT" >"$ROOT/bin/dockerd"; "$ROOT/bin/chmod" 700 "$ROOT/bin/dockerd";; esac`
	const installCalls = "apt-get update; apt-get install -y --no-install-recommends docker.io mmdebstrap"
	cases := []struct {
		name  string
		setUp func(*machine)
		code  int
		said  string // "" wants silence
		calls string
	}{
		{"an Engine that answers is used in silence", func(m *machine) { m.write("up", "") }, 0, "", ""},
		{"DOCKER_HOST is never replaced", func(m *machine) {
			m.env = []string{"DOCKER_HOST=tcp://127.0.0.1:1"}
			m.stub("dockerd", daemonComesUp)
		}, 1, "DOCKER_HOST=tcp://127.0.0.1:1", ""},
		{"the opt-out is honoured", func(m *machine) {
			m.env = []string{"PREHEAT_INSTALL_ENGINE=no"}
			m.stub("dockerd", daemonComesUp)
		}, 1, "PREHEAT_INSTALL_ENGINE=no", ""},
		{"only root goes on", func(m *machine) {
			m.stub("id", "echo 1000")
			m.stub("dockerd", daemonComesUp)
		}, 1, "only root", ""},
		{"without apt-get nothing is installed", func(*machine) {}, 1, "without apt-get", ""},
		{"what is missing is installed and started", func(m *machine) {
			m.link("chmod")
			m.stub("apt-get", installs)
		}, 0, "the Docker Engine answers", installCalls + "; setsid dockerd; dockerd"},
		{"a failed install shows the log's end", func(m *machine) {
			m.stub("apt-get", "echo no space left; exit 100")
		}, 1, "no space left", "apt-get update"},
		{"an Engine that the package started is used", func(m *machine) {
			m.stub("apt-get", `test "$1" != install || touch "$ROOT/up"`)
		}, 0, "installing", installCalls},
		{"systemd starts it where systemd runs", func(m *machine) {
			m.stub("dockerd", "")
			m.stub("systemctl", `touch "$ROOT/up"`)
			if err := os.MkdirAll(m.path("run/systemd/system"), 0o700); err != nil {
				m.t.Fatal(err)
			}
		}, 0, "with systemd", "systemctl start docker"},
		{"a daemon that ends at once is told with its log", func(m *machine) {
			m.stub("dockerd", "echo no iptables; exit 1")
		}, 1, "no iptables", "setsid dockerd; dockerd"},
		{"a daemon that never answers is told", func(m *machine) {
			m.stub("dockerd", "echo still loading; exec sleep 4")
		}, 1, "does not answer after", "setsid dockerd; dockerd"},
		{"more arguments reach dockerd", func(m *machine) {
			m.env = []string{"PREHEAT_DOCKERD_ARGS=--debug --iptables=false"}
			m.stub("dockerd", daemonComesUp)
		}, 0, "answers", "setsid dockerd --debug --iptables=false; dockerd --debug --iptables=false"},
		{"mmdebstrap is added to an Engine that answers", func(m *machine) {
			m.write("up", "")
			m.removeMmdebstrap()
			m.stub("apt-get", "")
		}, 0, "installing mmdebstrap", "apt-get update; apt-get install -y --no-install-recommends mmdebstrap"},
		{"mmdebstrap is not needed by who may not install", func(m *machine) {
			m.write("up", "")
			m.removeMmdebstrap()
			m.stub("apt-get", "")
			m.stub("id", "echo 1000")
		}, 0, "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			c.setUp(m)
			code, said, calls := m.run()
			if code != c.code || calls != c.calls {
				t.Errorf("exit code %d and calls %q, want %d and %q\n%s", code, calls, c.code, c.calls, said)
			}
			if !strings.Contains(said, c.said) || c.said == "" && said != "" {
				t.Errorf("it said %q, want %q", said, c.said)
			}
		})
	}
}

// leaveFiles lays out what a daemon has while it runs, with pid as its number.
func (m *machine) leaveFiles(pid int) []string {
	m.t.Helper()
	files := []string{"var/run/docker.pid", "var/run/docker.sock", "var/run/docker/containerd/containerd.pid",
		"var/run/docker/containerd/containerd.sock", "var/run/docker/containerd/containerd.sock.ttrpc"}
	for _, name := range files {
		m.write(name, strconv.Itoa(pid))
	}
	return files
}

func TestWhatAKilledDaemonLeftIsRemovedBeforeTheStart(t *testing.T) {
	m := newMachine(t)
	files := m.leaveFiles(os.Getpid()) // the number now belongs to another program
	m.stub("dockerd", fmt.Sprintf(`cd "$ROOT"; for f in %s; do test ! -e "$f" || echo "$f is left"; done; touch up; sleep 0.2`, strings.Join(files, " ")))
	code, said, _ := m.run()
	log, err := os.ReadFile(m.path("var/log/preheat-dockerd.log"))
	if err != nil || code != 0 || strings.Contains(string(log), "is left") {
		t.Errorf("exit code %d, %v\n%s%s", code, err, said, log)
	}
}

func TestADaemonThatStillStartsIsWaitedFor(t *testing.T) {
	m := newMachine(t)
	m.stub("dockerd", `sleep 0.5; touch "$ROOT/up"; sleep 5`)
	starting := exec.CommandContext(t.Context(), m.path("bin/dockerd"))
	starting.Env = []string{"PATH=" + m.path("bin"), "ROOT=" + m.root}
	if err := starting.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = starting.Process.Kill()
		_ = starting.Wait()
	})
	m.leaveFiles(starting.Process.Pid)
	code, said, calls := m.run()
	if code != 0 || calls != "dockerd" || !strings.Contains(said, "does not answer yet") {
		t.Errorf("exit code %d, calls %q\n%s", code, calls, said)
	}
	if !m.has("var/run/docker.pid") || !m.has("var/run/docker.sock") {
		t.Error("the files of a daemon that lives were removed")
	}
}

package scripts

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	daemonConfig  = "etc/docker/daemon.json"
	runscInstall  = "runsc install --runtime runsc --clobber=false --config_file ROOT/" + daemonConfig + " -- --network=none --oci-seccomp"
	engineAnswers = `case $3 in *Args*) cat "$ROOT/args";; *Runtimes*) cat "$ROOT/runtimes";; esac`
	installs      = `case $1 in --version) echo runsc version 1;; install) cp "$ROOT/etc/docker/daemon.json" "$ROOT/etc/docker/daemon.json~"; echo new >"$ROOT/etc/docker/daemon.json";; esac`
)

// ignoresIt is a daemon that does not read its configuration again.
const ignoresIt = `:`

// newRunscMachine has an Engine without runsc, whose daemon runs onHangup when it is
// told to read its configuration again.
func newRunscMachine(t *testing.T, onHangup string) *machine {
	m := newMachine(t)
	m.link("cp", "mv", "mkdir", "mktemp", "head", "chmod")
	// A shell cannot handle a signal that was ignored when it started, as SIGHUP
	// is below nohup.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	m.stub("docker", engineAnswers)
	m.write("runtimes", "crun\nrunc\n")
	m.write("args", "--network=none\n--oci-seccomp\n")
	daemon := exec.CommandContext(t.Context(), m.path("bin/sh"), "-c",
		"trap '"+onHangup+"' HUP; echo ready; while :; do sleep 0.05; done")
	daemon.Env = []string{"PATH=" + m.path("bin"), "ROOT=" + m.root}
	ready, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(daemon.Process.Pid)
	for _, dir := range []string{"proc/" + pid, "etc/docker"} {
		if err := os.MkdirAll(m.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write("var/run/docker.pid", pid)
	m.write("proc/"+pid+"/comm", "dockerd\n")
	m.write(daemonConfig, "old")
	if onHangup == ignoresIt {
		m.env = []string{"PREHEAT_RUNSC_WAIT=2"}
	}
	return m
}

// runRunsc runs the script like run does. In the calls, ROOT stands for the root.
func (m *machine) runRunsc() (code int, said, calls string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), m.path("bin/sh"), "runsc.sh")
	cmd.Env = append([]string{"PATH=" + m.path("bin"), "ROOT=" + m.root, "TMPDIR=" + m.root, "PREHEAT_RUNSC_ROOT=" + m.root}, m.env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	noted, _ := os.ReadFile(m.path("calls")) // absent when nothing was called
	var kept []string
	for call := range strings.Lines(string(noted)) {
		if name, _, _ := strings.Cut(call, " "); name == "go" || strings.HasPrefix(call, "runsc install") {
			kept = append(kept, strings.ReplaceAll(strings.TrimSpace(call), m.root, "ROOT"))
		}
	}
	return cmd.ProcessState.ExitCode(), string(out), strings.Join(kept, "; ")
}

func TestTheRunscScriptDecides(t *testing.T) {
	const takesIt = `echo runsc >>"$ROOT/runtimes"`
	has := func(args string) func(*machine) {
		return func(m *machine) {
			m.write("runtimes", "runc\nrunsc\n")
			m.write("args", args+"\n")
		}
	}
	for _, c := range []struct {
		name     string
		onHangup string
		setUp    func(*machine)
		code     int
		said     string
		calls    string
		config   string
	}{
		{"an Engine that has it is left alone", ignoresIt, func(m *machine) { m.write("runtimes", "runc\nrunsc\n") }, 0, "nothing to do", "", "old"},
		{"one without the seccomp profile is told", takesIt, has("--network=none"), 1, "without --oci-seccomp. Let its runtimeArgs in ", "", "old"},
		{"one with a network is told", takesIt, has("-oci-seccomp=true"), 1, "without --network=none", "", "old"},
		{"one without limits is told", takesIt, has("--network=none\n--oci-seccomp\n--ignore-cgroups"), 1, "with --ignore-cgroups", "", "old"},
		{"an Engine elsewhere is refused", takesIt, func(m *machine) { m.env = []string{"DOCKER_HOST=tcp://127.0.0.1:1"} }, 1, "DOCKER_HOST=tcp://127.0.0.1:1", "", "old"},
		{"no Engine is told", takesIt, func(m *machine) { m.stub("docker", "exit 1") }, 1, "make engine", "", "old"},
		{"only root goes on", takesIt, func(m *machine) { m.stub("id", "echo 1000") }, 1, "only root", "", "old"},
		{"a daemon that is not found is told", takesIt, func(m *machine) { m.write("var/run/docker.pid", "1") }, 1, "No dockerd", "", "old"},
		{"without Go nothing is built", takesIt, func(*machine) {}, 1, "Go is needed", "", "old"},
		{"a runsc that is there is taken", takesIt, func(m *machine) { m.stub("runsc", installs) }, 0, "the Engine has the runtime runsc: ", runscInstall, "new"},
		{"a configuration that is not understood stays", takesIt, func(m *machine) { m.stub("runsc", "echo bad JSON; exit 1") }, 1, "bad JSON", runscInstall, "old"},
		{"a configuration that the daemon does not take is undone", ignoresIt, func(m *machine) { m.stub("runsc", installs) }, 1, "is as it was", runscInstall, "old"},
		{"a failed build shows the log's end", takesIt, func(m *machine) { m.stub("go", "echo no space left; exit 1") }, 1, "no space left", "go mod init runsc", "old"},
		{"what is built is installed", takesIt, func(m *machine) {
			m.stub("go", fmt.Sprintf(`case $1 in build) printf '#!%%s/bin/sh\necho runsc "$@" >>"$ROOT/calls"\n%%s\n' "$ROOT" '%s' >runsc; chmod 700 runsc;; esac`, installs))
		}, 0, "installed ", "go mod init runsc; go get gvisor.dev/gvisor/runsc@VERSION; go build -v -trimpath -buildvcs=false -o runsc " +
			"-ldflags -s -w -X gvisor.dev/gvisor/runsc/version.version=VERSION gvisor.dev/gvisor/runsc; " + runscInstall, "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newRunscMachine(t, c.onHangup)
			c.setUp(m)
			code, said, calls := m.runRunsc()
			calls = strings.ReplaceAll(calls, "v0.0.0-20250523182742-eede7a881b20", "VERSION")
			if code != c.code || calls != c.calls || !strings.Contains(said, c.said) {
				t.Errorf("exit code %d and calls %q, want %d and %q; said %q, want %q", code, calls, c.code, c.calls, said, c.said)
			}
			if config, err := os.ReadFile(m.path(daemonConfig)); err != nil || strings.TrimSpace(string(config)) != c.config {
				t.Errorf("the configuration is %q, %v; want %q", config, err, c.config)
			}
			if c.code == 0 && code == 0 {
				if code, said, _ := m.runRunsc(); code != 0 || !strings.Contains(said, "nothing to do") {
					t.Errorf("again: exit code %d, said %q", code, said)
				}
			}
		})
	}
}

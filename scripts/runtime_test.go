package scripts

import (
	"strings"
	"testing"
)

func TestTheRuntimeScriptDecides(t *testing.T) {
	const installs = `case $1 in install) for p in "$@"; do case $p in crun|mmdebstrap) : >"$ROOT/bin/$p"; "$ROOT/bin/chmod" 700 "$ROOT/bin/$p";; esac; done;; esac`
	const install = "apt-get update; apt-get install -y --no-install-recommends "
	for _, c := range []struct {
		name  string
		setUp func(*machine)
		code  int
		said  string // "" wants silence
		calls string
	}{
		{"what is there is used in silence", func(m *machine) { m.stub("crun", "") }, 0, "", ""},
		{"runc will do", func(m *machine) { m.stub("runc", "") }, 0, "", ""},
		{"a runtime that is missing is installed", func(m *machine) { m.stub("apt-get", installs) }, 0, "installing crun", install + "crun"},
		{"both are", func(m *machine) {
			m.removeMmdebstrap()
			m.stub("apt-get", installs)
		}, 0, "installing crun mmdebstrap", install + "crun mmdebstrap"},
		{"mmdebstrap is added to a runtime", func(m *machine) {
			m.stub("runc", "")
			m.removeMmdebstrap()
			m.stub("apt-get", installs)
		}, 0, "installing mmdebstrap", install + "mmdebstrap"},
		{"a registry will do where mmdebstrap cannot be installed", func(m *machine) {
			m.stub("crun", "")
			m.removeMmdebstrap()
			m.stub("apt-get", "echo no space left; exit 100")
		}, 0, "no space left", "apt-get update"},
		{"mmdebstrap is not needed by who may not install", func(m *machine) {
			m.stub("crun", "")
			m.removeMmdebstrap()
			m.stub("id", "echo 1000")
			m.stub("apt-get", installs)
		}, 0, "", ""},
		{"only root installs", func(m *machine) {
			m.stub("id", "echo 1000")
			m.stub("apt-get", installs)
		}, 1, "Install crun or runc, or start a Docker Engine", ""},
		{"the opt-out is honoured", func(m *machine) {
			m.env = []string{"PREHEAT_INSTALL_RUNTIME=no"}
			m.stub("apt-get", installs)
		}, 1, "There is no OCI runtime", ""},
		{"without apt-get nothing is installed", func(*machine) {}, 1, "There is no OCI runtime", ""},
		{"a failed install is told with the log's end", func(m *machine) { m.stub("apt-get", "echo no space left; exit 100") }, 1, "no space left", "apt-get update"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.link("chmod")
			c.setUp(m)
			code, said, calls := m.runScript("runtime.sh")
			if code != c.code || calls != c.calls {
				t.Errorf("exit code %d and calls %q, want %d and %q\n%s", code, calls, c.code, c.calls, said)
			}
			if !strings.Contains(said, c.said) || c.said == "" && said != "" {
				t.Errorf("it said %q, want %q", said, c.said)
			}
		})
	}
}

package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/attacks/attackstest"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/profile"
)

const (
	// attacksTable is where -update writes the table.
	attacksTable = "../../docs/attacks.md"

	// attackUIDs is where the uids of this test begin, away from those of the
	// machine's users.
	attackUIDs = 30_000
)

// TestAttacksAreContained carries out the catalogue, in the controls and in
// sandboxes of runc and, where the Engine has it, of gVisor. PREHEAT_TEST_RUNTIME
// names other runtimes, separated by commas.
func TestAttacksAreContained(t *testing.T) {
	d, cli := newDriver(t)
	d.users.Given.Store(attackUIDs)
	info, err := cli.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	weak := weakEngine{d}
	subject := attackstest.Subject{
		Driver:   d,
		Runtimes: testRuntimes(t, d),
		Weak:     weak.launch,
		Enter:    weak.enter,
		Live:     func() int { return count(t, cli, d.cfg.Instance) },
		Folders:  func(id string) []string { return []string{filepath.Join(info.DockerRootDir, "containers", id)} },
		// Tests that run beside this one have containers with the same uids.
		Fled: func(uid int, cgroups string) bool {
			return uid > profile.FirstUser+attackUIDs && uid <= d.users.Last() && !strings.Contains(cgroups, "docker")
		},
		Title: "Attacks",
	}
	for _, name := range attackstest.Languages {
		subject.Languages = append(subject.Languages, enginetest.Language(t, cli, name))
	}
	if *update {
		subject.Table = attacksTable
	}
	attackstest.Run(t, subject)
}

func testRuntimes(t *testing.T, d *Driver) []string {
	if named := os.Getenv("PREHEAT_TEST_RUNTIME"); named != "" {
		return strings.Split(named, ",")
	}
	if err := findRunsc(t, d); err != nil {
		t.Logf("not tried in gVisor: %v", err)
		return []string{"runc"}
	}
	return []string{"runc", "runsc"}
}

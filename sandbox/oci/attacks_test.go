package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/attacks/attackstest"
	"github.com/preheat/preheat/sandbox/oci/ocitest"
)

// attacksTable is where -update writes the table.
const attacksTable = "../../docs/attacks-oci.md"

// TestAttacksAreContained carries out the catalogue, in controls of the default
// runtime and in sandboxes of each that this machine has. PREHEAT_TEST_RUNTIME
// names other runtimes, separated by commas.
func TestAttacksAreContained(t *testing.T) {
	d := newDriver(t)
	weak := weakDriver{d}
	subject := attackstest.Subject{
		Driver:   d,
		Runtimes: testRuntimes(t),
		Weak:     weak.launch,
		Enter:    weak.enter,
		Live:     func() int { return len(live(t, d)) },
		Folders: func(id string) []string {
			folders := []string{filepath.Join(d.folder(), id)}
			for _, mount := range d.h.mounts {
				folders = append(folders, filepath.Join(mount, d.parent, id))
			}
			return folders
		},
		// Another driver's sandboxes may have the same range of users by chance.
		Fled: func(uid int, cgroups string) bool {
			return gave(d, uid) && !strings.Contains(cgroups, filepath.Dir(d.parent)+"/")
		},
		Title: "Attacks on sandboxes without a daemon",
	}
	for _, name := range attackstest.Languages {
		subject.Languages = append(subject.Languages, ocitest.Language(t, name))
	}
	if *update {
		subject.Table = attacksTable
	}
	attackstest.Run(t, subject)
}

// gave reports whether a user of the host is in a range that d has given out.
func gave(d *Driver, uid int) bool {
	if uid < firstRange {
		return false
	}
	turn := (uint32(uid-firstRange)/rangeSize + rangeCount - d.first) % rangeCount
	return turn >= 1 && turn <= d.ranges.Load()
}

func testRuntimes(t *testing.T) []string {
	if named := os.Getenv("PREHEAT_TEST_RUNTIME"); named != "" {
		return strings.Split(named, ",")
	}
	return runtimes(t)
}

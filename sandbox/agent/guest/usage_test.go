//go:build linux

package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/preheat/preheat/sandbox/agent"
)

// The files of a cgroup of either version after one OOM kill, and then after
// another that took a whole group.
func TestUsageReadsTheKillsOfEitherCgroupVersion(t *testing.T) {
	for name, test := range map[string]struct {
		usage       usage
		first, then string // of the file of events
		cpu, memory string
	}{
		"v1": {usage{cpuScale: 1000},
			"oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n",
			"7000000\n", "50331648\n"},
		"v2": {usage{cpuScale: 1, cpuField: "usage_usec"},
			"low 0\nhigh 0\nmax 88\noom 1\noom_kill 1\noom_group_kill 0\n", "low 0\nhigh 0\nmax 120\noom 2\noom_kill 3\noom_group_kill 1\n",
			"usage_usec 7000\nuser_usec 5000\nsystem_usec 2000\n", "50331648\n"},
	} {
		t.Run(name, func(t *testing.T) {
			u, events := test.usage, file(t, test.first)
			u.events, u.cpu, u.memory = events, file(t, test.cpu), file(t, test.memory)
			var r agent.Report
			u.read(&r)
			if want := (agent.Report{OOMKills: 1, CPUMicros: 7000, MemoryBytes: 48 << 20}); r != want {
				t.Errorf("got %+v, want %+v", r, want)
			}
			if err := os.WriteFile(events.Name(), []byte(test.then), 0o644); err != nil {
				t.Fatal(err)
			}
			if u.read(&r); r.OOMKills != 3 {
				t.Errorf("%d kills after three", r.OOMKills)
			}
		})
	}
}

// file returns a file with the content, open as the agent has it open.
func file(t *testing.T, content string) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

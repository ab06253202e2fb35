package oci

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMountsOfEveryKindOfMachineAreUnderstood(t *testing.T) {
	const (
		memory = "36 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		joint  = "37 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
		pids   = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
		named  = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
		beside = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		two    = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		others = "1 1 0:1 / / rw - ext4 /dev/vda rw\n\nnot a mount\n2 1 0:2 / /proc rw - proc\n"
	)
	for name, test := range map[string]struct {
		text, unified, hybrid string
		mounts                int
		missing               []string
	}{
		"version 1":                {others + memory + joint + pids + named, "", "", 4, nil},
		"hybrid":                   {memory + joint + pids + named + beside, "", "/sys/fs/cgroup/unified", 5, nil},
		"version 1 without a part": {memory + named, "", "", 2, []string{"pids", "cpu"}},
		"version 2":                {others + two, "/sys/fs/cgroup", "", 1, nil},
		"none":                     {others, "", "", 0, []string{"memory", "pids", "cpu"}},
	} {
		h := parseMounts(test.text)
		if h.unified != test.unified || h.hybrid != test.hybrid || len(h.mounts) != test.mounts {
			t.Errorf("%s: %+v", name, h)
		}
		if h.unified == "" && !slices.Equal(h.missing(), test.missing) && len(test.missing) > 0 {
			t.Errorf("%s: missing %q, want %q", name, h.missing(), test.missing)
		}
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n36 31 0:32 / /x rw - cgroup cgroup rw,memory\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, mount := range parseMounts(text).mounts {
			if !strings.Contains(text, mount) {
				t.Errorf("%q is not in it", mount)
			}
		}
	})
}

func TestTheOwnCgroupOfVersion2IsFound(t *testing.T) {
	for text, want := range map[string]string{
		"0::/user.slice/x.service\n":                "/user.slice/x.service",
		"4:memory:/a\n0::/preheat.service/server\n": "/preheat.service",
		"0::/\n":        "/",
		"4:memory:/a\n": "/",
		"1:name=systemd:/b\n0::/system.slice/p.scope": "/system.slice/p.scope",
	} {
		if got := parseOwn(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// files makes a folder with the files of a cgroup.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFiguresOfVersion2(t *testing.T) {
	dir := files(t, map[string]string{
		"s/memory.events": "low 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n",
		"s/memory.peak":   "9437184\n",
		"s/cpu.stat":      "usage_usec 12345\nuser_usec 1\n",
		"s/memory.max":    "1",
		"s/cgroup.procs":  "12\n34\nx\n",
	})
	c := cgroup{hierarchies{unified: dir}, "/s"}
	if u := c.usage(); c.oomKills() != 2 || u.MemoryBytes != 9437184 || u.CPU != 12345*time.Microsecond {
		t.Errorf("%d kills, %+v", c.oomKills(), u)
	}
	if err := c.resize(1 << 27); err != nil || content(t, dir, "s/memory.max") != "134217728" {
		t.Errorf("resized to %s, %v", content(t, dir, "s/memory.max"), err)
	}
	if pids := c.processes(); !slices.Equal(pids, []int{12, 34}) {
		t.Errorf("processes %v", pids)
	}
}

func TestFiguresOfVersion1(t *testing.T) {
	dir := files(t, map[string]string{
		"m/s/memory.oom_control":             "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		"m/s/memory.max_usage_in_bytes":      "4096\n",
		"m/s/memory.limit_in_bytes":          "1000",
		"a/s/cpuacct.usage":                  "12345678\n",
		"m/both/memory.limit_in_bytes":       "1000",
		"m/both/memory.memsw.limit_in_bytes": "1000",
	})
	h := hierarchies{at: map[string]string{"memory": dir + "/m", "cpuacct": dir + "/a"}}
	c := cgroup{h, "/s"}
	if u := c.usage(); c.oomKills() != 3 || u.MemoryBytes != 4096 || u.CPU != 12345678 {
		t.Errorf("%d kills, %+v", c.oomKills(), u)
	}
	for _, c := range []cgroup{{h, "/both"}, {h, "/s"}} { // the other without swap accounting, where a new file would be made
		if err := c.resize(2000); err != nil || content(t, dir, "m", c.path, "memory.limit_in_bytes") != "2000" {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	if content(t, dir, "m/both/memory.memsw.limit_in_bytes") != "2000" {
		t.Error("swap keeps its limit")
	}
	if (cgroup{h, "/none"}).resize(1) == nil {
		t.Error("a cgroup that is not there was resized")
	}
}

func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	c := cgroup{hierarchies{unified: t.TempDir()}, "/none"}
	if u := c.usage(); u.CPU != 0 || u.MemoryBytes != 0 || c.oomKills() != 0 || c.processes() != nil {
		t.Errorf("%+v", u)
	}
}

func TestVersion2IsDividedFromTheTop(t *testing.T) {
	dir := files(t, map[string]string{
		"cgroup.controllers":                 "cpuset cpu memory pids\n",
		"cgroup.subtree_control":             "memory pids\n", // as systemd leaves it
		"preheat/cgroup.subtree_control":     "memory pids cpu\n",
		"preheat/key/cgroup.subtree_control": "",
	})
	h := hierarchies{unified: dir, mounts: []string{dir}}
	if err := h.enable("/preheat/key"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "+cpu", "preheat": "memory pids cpu\n", "preheat/key": "+memory +pids +cpu"} {
		if got := content(t, dir, path, "cgroup.subtree_control"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if missing := h.missing(); len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
	if missing := (hierarchies{unified: t.TempDir()}).missing(); len(missing) != 3 {
		t.Errorf("without any: missing %q", missing)
	}
}

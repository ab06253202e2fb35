package doctor

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sound is a machine with nothing to find.
func sound() Facts {
	return Facts{
		Runtimes: []Runtime{{Name: "crun", Part: doctor.Part{Version: "1.30"}, Krun: true}},
		Root:     true, Cgroup: "2", Namespaces: 9, UsersMayToo: true, Seccomp: true,
		Limits: doctor.Limits{Memory: true, Swap: true, Pids: true, CPU: true},
	}
}

func TestASoundMachinePassesEveryCheck(t *testing.T) {
	for _, c := range Judge(sound()) {
		if c.Level != doctor.Pass || c.Advice != "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestEveryFlawIsFoundByItsCheckAlone(t *testing.T) {
	only := func(name, version, commit string) func(*Facts) {
		return func(f *Facts) {
			f.Runtimes = []Runtime{{Name: name, Part: doctor.Part{Version: version, Commit: commit}}}
		}
	}
	for name, test := range map[string]struct {
		spoil func(*Facts)
		check string
		want  doctor.Level
		says  string // somewhere in what was found or advised
	}{
		"no runtime":           {func(f *Facts) { f.Runtimes = nil }, "runtimes", doctor.Fail, "apt-get install crun"},
		"crun with a hole":     {only("crun", "0.10.4", ""), "crun", doctor.Fail, "CVE-2019-18837"},
		"an old crun":          {only("crun", "1.8.1", ""), "crun", doctor.Pass, "1.8.1"},
		"an old krun":          {func(f *Facts) { f.Runtimes[0].Version = "1.19.1" }, "crun", doctor.Fail, "CVE-2025-24965"},
		"Debian's old krun":    {func(f *Facts) { f.Runtimes[0].Part = doctor.Part{Version: "1.19.1", Commit: "1.19.1-1"} }, "crun", doctor.Warn, "changelog"},
		"an old runc":          {only("runc", "1.1.11", "v1.1.11-0-g4bccb38c"), "runc", doctor.Fail, "CVE-2024-21626"},
		"Debian's runc":        {only("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"), "runc", doctor.Warn, "1.1.5+ds1-1+deb12u1"},
		"a runtime that fails": {only("runc", "", ""), "runc", doctor.Warn, "yourself"},
		"no cgroups":           {func(f *Facts) { f.Cgroup = "" }, "cgroup", doctor.Fail, "mount the cgroup"},
		"a hybrid machine":     {func(f *Facts) { f.Cgroup, f.Hybrid = "1", []string{"hugetlb"} }, "cgroup", doctor.Pass, "version 1, beside version 2 with hugetlb"},
		"swap not limited":     {func(f *Facts) { f.Limits.Swap = false }, "limits", doctor.Warn, "swapaccount=1"},
		"not root":             {func(f *Facts) { f.Root = false }, "user", doctor.Warn, "your uid"},
		"no user namespaces":   {func(f *Facts) { f.Namespaces = 0 }, "userns", doctor.Fail, "user.max_user_namespaces"},
		"no seccomp":           {func(f *Facts) { f.Seccomp = false }, "seccomp", doctor.Fail, "CONFIG_SECCOMP_FILTER"},
	} {
		t.Run(name, func(t *testing.T) {
			facts, told := sound(), false
			test.spoil(&facts)
			for _, c := range Judge(facts) {
				want := doctor.Pass
				if c.Name == test.check {
					want, told = test.want, true
				}
				if c.Level != want || c.Name == test.check && !strings.Contains(c.Found+c.Advice, test.says) {
					t.Errorf("%+v; want %s, %q", c, want, test.says)
				}
			}
			if !told {
				t.Errorf("there is no check %s", test.check)
			}
		})
	}
}

func TestNamespacesForRootAloneAreNoneForAUser(t *testing.T) {
	facts := sound()
	facts.UsersMayToo = false
	if c := judgeNamespaces(facts); c.Level != doctor.Pass {
		t.Errorf("root: %+v", c)
	}
	facts.Root = false
	if c := judgeNamespaces(facts); c.Level != doctor.Fail || !strings.Contains(c.Advice, "unprivileged_userns_clone") {
		t.Errorf("a user: %+v", c)
	}
}

func TestFactsAreReadFromTheKernelsFiles(t *testing.T) {
	all := doctor.Limits{Memory: true, Swap: true, Pids: true, CPU: true}
	common := map[string]string{
		"proc/sys/kernel/seccomp/actions_avail": "kill_process trap errno allow\n",
		"proc/sys/user/max_user_namespaces":     "100\n",
		"proc/swaps":                            "Filename\tType\n/dev/sda2\tpartition\n",
		"proc/self/cgroup":                      "0::/user.slice/a.scope\n",
	}
	for name, test := range map[string]struct {
		files map[string]string
		root  bool
		want  Facts
	}{
		"nothing": {map[string]string{"proc/swaps": "", "proc/sys/kernel/seccomp/actions_avail": "", "proc/sys/user/max_user_namespaces": ""}, true, Facts{Root: true}},
		"version 2": {map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n", "sys/fs/cgroup/a.slice/memory.swap.max": "max\n"}, true,
			Facts{Root: true, Cgroup: "2", Limits: all}},
		"version 2 of a user": {map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n", "sys/fs/cgroup/user.slice/a.scope/cgroup.controllers": "memory pids\n"}, false,
			Facts{Cgroup: "2", Limits: doctor.Limits{Memory: true, Pids: true}}},
		"version 1": {map[string]string{"sys/fs/cgroup/memory/cgroup.procs": "", "sys/fs/cgroup/memory/memory.memsw.limit_in_bytes": "", "sys/fs/cgroup/pids/cgroup.procs": "", "sys/fs/cgroup/cpu/cgroup.procs": ""}, true,
			Facts{Root: true, Cgroup: "1", Limits: all}},
		"hybrid, without swap": {map[string]string{"sys/fs/cgroup/memory/cgroup.procs": "", "sys/fs/cgroup/unified/cgroup.controllers": "hugetlb\n", "proc/swaps": "Filename\tType\n"}, true,
			Facts{Root: true, Cgroup: "1", Hybrid: []string{"hugetlb"}, Limits: doctor.Limits{Memory: true, Swap: true}}},
	} {
		files := fstest.MapFS{}
		for _, list := range []map[string]string{common, test.files} {
			for path, content := range list {
				files[path] = &fstest.MapFile{Data: []byte(content)}
			}
		}
		if name != "nothing" {
			test.want.Seccomp, test.want.Namespaces, test.want.UsersMayToo = true, 100, true
		}
		got := read(files, test.root)
		if !slices.Equal(got.Hybrid, test.want.Hybrid) {
			t.Errorf("%s: beside version 1 there is %v, want %v", name, got.Hybrid, test.want.Hybrid)
		}
		if got.Limits != test.want.Limits || got.Cgroup != test.want.Cgroup || got.Root != test.want.Root ||
			got.Seccomp != test.want.Seccomp || got.Namespaces != test.want.Namespaces || got.UsersMayToo != test.want.UsersMayToo {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestRuntimesTellTheirVersions(t *testing.T) {
	for said, want := range map[string]Runtime{
		"crun version 1.20\ncommit: 9c9a\nspec: 1.0.0\n+SYSTEMD +LIBKRUN +YAJL\n": {Name: "crun", Part: doctor.Part{Version: "1.20", Commit: "9c9a"}, Krun: true},
		"runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n":  {Name: "runc", Part: doctor.Part{Version: "1.1.5+ds1", Commit: "1.1.5+ds1-1+deb12u1"}},
		"runsc version release-20250512.0\nspec: 1.1.0-rc.1\n":                    {Name: "runsc", Part: doctor.Part{Version: "20250512.0"}},
		"what is this?\n": {Name: "crun"},
	} {
		if got := parseRuntime(want.Name, said); got != want {
			t.Errorf("%q: got %+v, want %+v", said, got, want)
		}
	}
}

func TestFactsOfThisMachine(t *testing.T) {
	f := Gather(t.Context())
	t.Logf("%+v", f)
	for _, r := range f.Runtimes {
		if r.Version == "" {
			t.Errorf("%s has no version", r.Name)
		}
	}
}

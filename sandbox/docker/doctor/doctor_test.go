package doctor

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sound is an Engine with nothing to find.
func sound() Facts {
	return Facts{
		Engine:     doctor.Part{Version: "29.1.0", Commit: "abc1234"},
		Runc:       doctor.Part{Version: "1.3.3", Commit: "v1.3.3-0-gd842d771"},
		APIVersion: "1.52", Cgroup: "2", Storage: "overlayfs",
		Security: []string{"seccomp", "apparmor", "userns"},
		Limits:   doctor.Limits{Memory: true, Swap: true, Pids: true, CPU: true},
	}
}

func TestASoundEnginePassesEveryCheck(t *testing.T) {
	for _, c := range Judge(sound()) {
		if c.Level != doctor.Pass || c.Advice != "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestEveryFlawIsFoundByItsCheckAlone(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Facts)
		check string
		want  doctor.Level
		says  string // somewhere in the advice
	}{
		"an old engine":           {func(f *Facts) { f.Engine = doctor.Part{Version: "20.10.12", Commit: "abc"} }, "engine", doctor.Fail, "CVE-2022-24769"},
		"an old packaged engine":  {func(f *Facts) { f.Engine = doctor.Part{Version: "20.10.5+dfsg1", Commit: "abc"} }, "engine", doctor.Warn, "may have mended them"},
		"an engine not Docker's":  {func(f *Facts) { f.Engine = doctor.Part{} }, "engine", doctor.Warn, "yourself"},
		"an old runc":             {func(f *Facts) { f.Runc = doctor.Part{Version: "1.1.11", Commit: "v1.1.11-0-g4bccb38c"} }, "runc", doctor.Fail, "CVE-2024-21626 (fixed in 1.1.12)"},
		"runc before late 2025":   {func(f *Facts) { f.Runc = doctor.Part{Version: "1.2.5", Commit: "v1.2.5-0-g59923ef"} }, "runc", doctor.Fail, "CVE-2025-31133"},
		"Debian's runc":           {func(f *Facts) { f.Runc = doctor.Part{Version: "1.1.5+ds1", Commit: "1.1.5+ds1-1+deb12u1"} }, "runc", doctor.Warn, "changelog"},
		"Ubuntu's runc":           {func(f *Facts) { f.Runc = doctor.Part{Version: "1.1.12-0ubuntu3.1", Commit: ""} }, "runc", doctor.Warn, "CVE-2025-52881"},
		"no runc":                 {func(f *Facts) { f.Runc = doctor.Part{} }, "runc", doctor.Warn, "yourself"},
		"no cgroups":              {func(f *Facts) { f.Cgroup = "" }, "cgroup", doctor.Fail, "mount the cgroup"},
		"processes not limited":   {func(f *Facts) { f.Limits.Pids = false }, "limits", doctor.Fail, "controllers"},
		"a storage that copies":   {func(f *Facts) { f.Storage = "vfs" }, "storage", doctor.Warn, "overlay2"},
		"no seccomp":              {func(f *Facts) { f.Security = []string{"apparmor", "userns"} }, "seccomp", doctor.Fail, "CONFIG_SECCOMP_FILTER"},
		"no AppArmor":             {func(f *Facts) { f.Security = []string{"seccomp", "userns"} }, "apparmor", doctor.Warn, "apparmor=1"},
		"root is the machine's":   {func(f *Facts) { f.Security = []string{"seccomp", "apparmor"} }, "userns", doctor.Warn, "userns-remap"},
		"a version out of nature": {func(f *Facts) { f.Runc.Version = "99999999999999999999.1" }, "runc", doctor.Warn, "yourself"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			test.spoil(&facts)
			for _, c := range Judge(facts) {
				want := doctor.Pass
				if c.Name == test.check {
					want = test.want
				}
				if c.Level != want || c.Name == test.check && !strings.Contains(c.Advice, test.says) {
					t.Errorf("%+v; want %s, %q", c, want, test.says)
				}
			}
		})
	}
}

func TestOtherWallsCountToo(t *testing.T) {
	facts := sound()
	facts.Security = []string{"seccomp", "selinux", "rootless"}
	facts.Cgroup, facts.Storage = "1", "overlay2"
	for _, c := range Judge(facts) {
		if c.Level != doctor.Pass {
			t.Errorf("%+v", c)
		}
	}
}

func TestFactsOfTheEngineHere(t *testing.T) {
	cli := enginetest.Client(t)
	d, err := docker.New(cli, docker.Config{Instance: "doctor-test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	info, err := d.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Gather(t.Context(), cli)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Engine.Version != info.Version || facts.Storage != info.StorageDriver || facts.APIVersion != info.APIVersion || facts.Runc.Version == "" {
		t.Errorf("%+v against %+v", facts, info)
	}
	if !slices.Contains(facts.Security, "seccomp") || !facts.Limits.Memory || !facts.Limits.Pids || !facts.Limits.CPU {
		t.Errorf("%+v", facts)
	}
	t.Logf("%+v", facts)
}

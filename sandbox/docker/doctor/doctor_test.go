package doctor

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sound is an Engine with nothing to find.
func sound() Facts {
	return Facts{
		Engine:     Part{"29.1.0", "abc1234"},
		Runc:       Part{"1.3.3", "v1.3.3-0-gd842d771"},
		APIVersion: "1.52", Cgroup: "2", Storage: "overlayfs",
		Security:    []string{"seccomp", "apparmor", "userns"},
		MemoryLimit: true, SwapLimit: true, PidsLimit: true, CPULimit: true,
	}
}

func TestASoundEnginePassesEveryCheck(t *testing.T) {
	for _, c := range Judge(sound()) {
		if c.Level != Pass || c.Advice != "" || c.Found == "" {
			t.Errorf("%+v", c)
		}
	}
}

func TestEveryFlawIsFoundByItsCheckAlone(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Facts)
		check string
		want  Level
		says  string // somewhere in the advice
	}{
		"an old engine":           {func(f *Facts) { f.Engine = Part{"20.10.12", "abc"} }, "engine", Fail, "CVE-2022-24769"},
		"an old packaged engine":  {func(f *Facts) { f.Engine = Part{"20.10.5+dfsg1", "abc"} }, "engine", Warn, "may have mended them"},
		"an engine not Docker's":  {func(f *Facts) { f.Engine = Part{} }, "engine", Warn, "yourself"},
		"an old runc":             {func(f *Facts) { f.Runc = Part{"1.1.11", "v1.1.11-0-g4bccb38c"} }, "runc", Fail, "CVE-2024-21626 (fixed in 1.1.12)"},
		"runc before late 2025":   {func(f *Facts) { f.Runc = Part{"1.2.5", "v1.2.5-0-g59923ef"} }, "runc", Fail, "CVE-2025-31133"},
		"Debian's runc":           {func(f *Facts) { f.Runc = Part{"1.1.5+ds1", "1.1.5+ds1-1+deb12u1"} }, "runc", Warn, "changelog"},
		"Ubuntu's runc":           {func(f *Facts) { f.Runc = Part{"1.1.12-0ubuntu3.1", ""} }, "runc", Warn, "CVE-2025-52881"},
		"no runc":                 {func(f *Facts) { f.Runc = Part{} }, "runc", Warn, "yourself"},
		"no cgroups":              {func(f *Facts) { f.Cgroup = "" }, "cgroup", Fail, "mount the cgroup"},
		"swap not limited":        {func(f *Facts) { f.SwapLimit = false }, "limits", Warn, "swapaccount=1"},
		"memory not limited":      {func(f *Facts) { f.MemoryLimit, f.SwapLimit = false, false }, "limits", Fail, "controllers"},
		"processes not limited":   {func(f *Facts) { f.PidsLimit = false }, "limits", Fail, "controllers"},
		"processors not limited":  {func(f *Facts) { f.CPULimit = false }, "limits", Fail, "controllers"},
		"a storage that copies":   {func(f *Facts) { f.Storage = "vfs" }, "storage", Warn, "overlay2"},
		"no seccomp":              {func(f *Facts) { f.Security = []string{"apparmor", "userns"} }, "seccomp", Fail, "CONFIG_SECCOMP_FILTER"},
		"no AppArmor":             {func(f *Facts) { f.Security = []string{"seccomp", "userns"} }, "apparmor", Warn, "apparmor=1"},
		"root is the machine's":   {func(f *Facts) { f.Security = []string{"seccomp", "apparmor"} }, "userns", Warn, "userns-remap"},
		"a version out of nature": {func(f *Facts) { f.Runc.Version = "99999999999999999999.1" }, "runc", Warn, "yourself"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := sound()
			test.spoil(&facts)
			for _, c := range Judge(facts) {
				want := Pass
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
		if c.Level != Pass {
			t.Errorf("%+v", c)
		}
	}
}

func TestFloorsKnowTheBranches(t *testing.T) {
	late := runcFloors[len(runcFloors)-1]
	for text, want := range map[string]bool{
		"1.1.15": false, "1.2.7": false, "1.2.8": true, "1.2.9": true, "1.3.0": false, "1.3.3": true, "1.3.10": true,
		"1.4.0-rc.2": false, "1.4.0-rc.3": true, "1.4.0~rc3+ds1": true, "1.4.0": true, "1.5.0-rc.1": true, "2.0": true,
	} {
		v, ok := parseVersion(Part{Version: text})
		if !ok || late.fixes(v) != want {
			t.Errorf("%s: %+v, %t, fixed %t; want %t", text, v, ok, late.fixes(v), want)
		}
	}
	early, _ := parseVersion(Part{Version: "1.0.0-rc6"})
	for _, fl := range runcFloors {
		if fl.fixes(early) {
			t.Errorf("%s counts as fixed in 1.0.0-rc6", fl.cves)
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
	if !slices.Contains(facts.Security, "seccomp") || !facts.MemoryLimit || !facts.PidsLimit || !facts.CPULimit {
		t.Errorf("%+v", facts)
	}
	t.Logf("%+v", facts)
}

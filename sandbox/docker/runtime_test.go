package docker

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"
)

func TestRuntimesOfTheEngine(t *testing.T) {
	known := map[string]system.RuntimeWithStatus{}
	for name, command := range map[string]string{
		"runc":            "runc",
		"kata":            "/usr/bin/kata-runtime",
		"runsc":           "/usr/local/bin/runsc --network=none --oci-seccomp",
		"runsc-bare":      "/usr/local/bin/runsc",
		"runsc-unlimited": "/usr/local/bin/runsc -oci-seccomp=true --ignore-cgroups",
		"runsc-off":       "/usr/local/bin/runsc --oci-seccomp --oci-seccomp=false --ignore-cgroups=0",
	} {
		words := strings.Fields(command)
		known[name] = system.RuntimeWithStatus{Runtime: system.Runtime{Path: words[0], Args: words[1:]}}
	}
	const unlimited, unfiltered = "no limit on memory", "the seccomp profile is not applied"
	for name, want := range map[string][]string{
		"runc":            nil,
		"kata":            nil,
		"runsc":           nil,
		"runsc-bare":      {unfiltered},
		"runsc-unlimited": {unlimited},
		"runsc-off":       {unfiltered},
	} {
		r, err := findRuntime(name, known)
		if err != nil || r.Name != name || len(r.Warnings) != len(want) {
			t.Fatalf("%s: %+v, %v; want %q", name, r, err, want)
		}
		for i := range want {
			if !strings.Contains(r.Warnings[i], want[i]) || !strings.Contains(r.Warnings[i], name) {
				t.Errorf("%s: %q, want %q", name, r.Warnings[i], want[i])
			}
		}
	}
}

func TestAMissingRuntimeIsToldWithWhatToDo(t *testing.T) {
	known := map[string]system.RuntimeWithStatus{"runc": {}, "crun": {}}
	for name, want := range map[string][]string{
		"runsc": {"no runtime \"runsc\"", "crun, runc", "`make runsc`", `"path": "/usr/local/bin/runsc", "runtimeArgs": ["--network=none"`, "SIGHUP"},
		"kata":  {"no runtime \"kata\"", "crun, runc", `{"runtimes": {"kata": {"path": "/usr/local/bin/kata"}}}`, "SIGHUP"},
	} {
		_, err := findRuntime(name, known)
		if err == nil {
			t.Fatalf("%s was found", name)
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in: %v", name, part, err)
			}
		}
		if name != "runsc" && strings.Contains(err.Error(), "make") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

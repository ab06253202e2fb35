package docker

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The golden file is the lock-down as an auditor reads it; a change to it is a
// change to what preheat promises.
func TestProfileIsTheGoldenFile(t *testing.T) {
	config, host := render(sandbox.Language{
		Name:    "python",
		Image:   "preheat-python:latest",
		Command: []string{"python3", "-u", "main.py"},
		Env:     []string{"PYTHONPATH=/app/python"},
		Runtime: "runc",
		Limits:  sandbox.DefaultLimits(),
	}, "golden", 10001)
	got, err := json.MarshalIndent(struct {
		Config     *container.Config
		HostConfig *container.HostConfig
	}{config, host}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	filter, err := json.Marshal(filter)
	if err != nil {
		t.Fatal(err)
	}
	got = bytes.Replace(append(got, '\n'), filter, []byte(`"seccomp=(seccomp/seccomp.json)"`), 1)
	const name = "testdata/profile.golden.json"
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the profile is not %s; look at the change, then run this test with -update\n%s", name, got)
	}
}

// One of gVisor's helpers that is killed alone leaves the sandbox hanging.
func TestOfAGVisorTheKernelIsTheFirstToGo(t *testing.T) {
	for runtime, want := range map[string]int{"": 500, "runc": 500, "crun": 500, "runsc": 1000, "runsc-kvm": 1000} {
		if _, host := render(sandbox.Language{Runtime: runtime, Limits: sandbox.DefaultLimits()}, "test", profile.FirstUser); host.OomScoreAdj != want {
			t.Errorf("%q: got %d, want %d", runtime, host.OomScoreAdj, want)
		}
	}
}

package oci

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden() *specs.Spec {
	return render(sandbox.Language{
		Name:    "python",
		Command: []string{"python3", "-u", "main.py"},
		Env:     []string{"PYTHONPATH=/app/python"},
		Limits:  sandbox.DefaultLimits(),
	}, "/trees/0", 10000, ids{firstRange, rangeSize}, "/preheat/golden/python-1")
}

// The golden file is the lock-down as an auditor reads it; a change to it is a
// change to what preheat promises.
func TestSpecIsTheGoldenFile(t *testing.T) {
	spec := golden()
	spec.Linux.Seccomp = nil // the list is seccomp.json's, see below
	got, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const name = "testdata/spec.golden.json"
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
		t.Errorf("the spec is not %s; look at the change, then run this test with -update\n%s", name, got)
	}
}

// What one format has of the allowlist, the other has too.
func TestTheFilterSaysWhatTheListSays(t *testing.T) {
	list, err := seccomp.Parse([]byte(seccomp.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	filter := golden().Linux.Seccomp
	if len(filter.Syscalls) != len(list.Syscalls) || string(filter.DefaultAction) != list.DefaultAction || len(filter.Architectures) != 1 {
		t.Fatalf("%d rules and %s for %q", len(filter.Syscalls), filter.DefaultAction, filter.Architectures)
	}
	for i, want := range list.Syscalls {
		got := filter.Syscalls[i]
		back := seccomp.Rule{Names: got.Names, Action: string(got.Action), Comment: want.Comment}
		if got.ErrnoRet != nil {
			back.ErrnoRet = int(*got.ErrnoRet)
		}
		for _, a := range got.Args {
			back.Args = append(back.Args, seccomp.Arg{Index: int(a.Index), Op: string(a.Op), Value: a.Value, ValueTwo: a.ValueTwo})
		}
		if a, b := asJSON(t, back), asJSON(t, want); a != b {
			t.Errorf("rule %d is %s, want %s", i, a, b)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWithoutAUserNamespaceThereIsNoMapping(t *testing.T) {
	spec := render(sandbox.Language{Limits: sandbox.DefaultLimits()}, "/trees/0", 10001, ids{}, "/c")
	if len(spec.Linux.UIDMappings)+len(spec.Linux.GIDMappings) > 0 {
		t.Errorf("%+v", spec.Linux)
	}
	for _, n := range spec.Linux.Namespaces {
		if n.Type == specs.UserNamespace {
			t.Error("there is a user namespace")
		}
	}
}

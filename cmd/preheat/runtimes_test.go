package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

func TestRuntimesOfLanguages(t *testing.T) {
	for text, want := range map[string]struct{ written, python, node string }{
		"":                        {"", "", ""},
		"runsc":                   {"runsc", "runsc", "runsc"},
		"node=runc,python=runsc":  {"node=runc,python=runsc", "runsc", "runc"},
		"python=runsc":            {"python=runsc", "runsc", ""},
		"node=runc,runsc":         {"runsc,node=runc", "runsc", "runc"},
		"io.containerd.kata.v2":   {"io.containerd.kata.v2", "io.containerd.kata.v2", "io.containerd.kata.v2"},
		"python=kata-fc,node=a_b": {"node=a_b,python=kata-fc", "kata-fc", "a_b"},
	} {
		var r runtimes
		if err := r.Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if r.String() != want.written || r.name("python") != want.python || r.name("node") != want.node {
			t.Errorf("%q is %q: %q for python, %q for node", text, r.String(), r.name("python"), r.name("node"))
		}
	}
	for _, text := range []string{",", "runsc,", "=", "=runsc", "python=", "runsc,runc", "python=a,python=b", "python=a=b", "run sc", "--x", "../runsc", "a/b"} {
		r := runtimes{all: "before"}
		if err := r.Set(text); !errors.Is(err, errRuntimes) || r.String() != "before" {
			t.Errorf("%q: %v, and it is %q", text, err, r.String())
		}
	}
}

func TestServeWithARuntimeThatTheEngineLacksSaysHowToAddIt(t *testing.T) {
	enginetest.Client(t)
	for runtime, want := range map[string]struct {
		code int
		text string
	}{
		"no-such-runtime":       {1, `{"runtimes": {"no-such-runtime": {"path": `},
		"runc,node=no-such-one": {1, `the engine has no runtime "no-such-one", it has `},
		"runc,cobol=runc":       {2, `unknown language "cobol"`},
		"python=":               {2, errRuntimes.Error()},
	} {
		cmd := command("serve", "--addr", "127.0.0.1:0", "--instance", "test-runtime", "--runtime", runtime)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != want.code || !strings.Contains(string(out), want.text) {
			t.Errorf("%s: exit code %d, printed %s; want %d, %q", runtime, code, out, want.code, want.text)
		}
	}
}

func TestEachLanguageIsServedInItsRuntime(t *testing.T) {
	info, err := enginetest.Client(t).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.Runtimes["runsc"]; !ok && os.Getenv("PREHEAT_RUNSC") == "required" {
		t.Fatal("PREHEAT_RUNSC=required, but the Engine has no runtime runsc")
	} else if !ok {
		t.Skip("needs an Engine with the runtime runsc; `make runsc` adds it")
	}
	s := startServer(t, "test-runtimes", "--runtime", "python=runsc,node=runc", "--pool", "python=1,node=1")
	inGVisor := s.post(t, python("import os; print(os.uname().release)"))
	outside := s.post(t, `{"language":"node","code":"console.log(require('os').release())"}`)
	if inGVisor.Status != "ok" || outside.Status != "ok" || inGVisor.Stdout == outside.Stdout {
		t.Errorf("python in runsc: %d %s; node in runc: %d %s", inGVisor.http, inGVisor.body, outside.http, outside.body)
	}
}

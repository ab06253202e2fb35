package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox"
)

func TestCandidatesForADriver(t *testing.T) {
	for _, test := range []struct{ wanted, dockerHost, want string }{
		{"docker", "", "docker"},
		{"oci", "", "oci"},
		{"oci", "tcp://1.2.3.4:2375", "oci"},
		{"auto", "", "docker oci"},
		{"auto", "tcp://1.2.3.4:2375", "docker"}, // nothing takes its place
	} {
		var names []string
		for _, k := range candidates(test.wanted, test.dockerHost) {
			names = append(names, k.name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s with DOCKER_HOST=%q: %s, want %s", test.wanted, test.dockerHost, got, test.want)
		}
	}
}

func TestTheFirstDriverThatWorksIsTaken(t *testing.T) {
	down, missing := errors.New("no Engine answers"), errors.New("crun is not on PATH")
	for name, test := range map[string]struct {
		candidates  []kind
		docker, oci error
		want        string
	}{
		"both":                   {kinds, nil, nil, "docker"},
		"an Engine":              {kinds, nil, missing, "docker"},
		"a runtime":              {kinds, down, nil, "oci"},
		"neither":                {kinds, down, missing, ""},
		"the one that was asked": {[]kind{ociKind}, down, missing, "oci"},
	} {
		k, err := choose(test.candidates, func(k kind) error {
			return map[string]error{"docker": test.docker, "oci": test.oci}[k.name]
		})
		if k.name != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %q, %v; want %q", name, k.name, err, test.want)
		}
		if err != nil && (!errors.Is(err, down) || !errors.Is(err, missing)) {
			t.Errorf("%s: the error does not name both reasons: %v", name, err)
		}
	}
}

// silent is a driver of an engine that does not answer.
type silent struct{ driver }

func (silent) Check(context.Context) (sandbox.EngineInfo, error) {
	return sandbox.EngineInfo{}, fmt.Errorf("docker: %w", sandbox.ErrEngine)
}
func (silent) Close() error { return nil }

func TestAnEngineThatDoesNotAnswerIsToldWithAdvice(t *testing.T) {
	k := kind{name: "docker", advice: "start one", open: func(string, observe, *slog.Logger) (driver, error) { return silent{}, nil }}
	if err := k.probe(t.Context()); !errors.Is(err, sandbox.ErrEngine) || !strings.HasSuffix(err.Error(), "\nstart one") {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnEngineHoldsIsGivenBackWithIt(t *testing.T) {
	closed := 0
	e := &engine{driver: silent{}, held: []io.Closer{closer(func() { closed++ }), closer(func() { closed++ })}}
	if err := e.Close(); err != nil || closed != 2 {
		t.Errorf("got %v, and %d of 2 were closed", err, closed)
	}
}

type closer func()

func (c closer) Close() error { c(); return nil }

// makeTrees makes the images of the driver without a daemon, once for all tests.
func makeTrees(t *testing.T, languages ...string) {
	t.Helper()
	if err := ociKind.probe(t.Context()); err != nil {
		if os.Getenv("PREHEAT_ENGINE") == "required" {
			t.Fatalf("PREHEAT_ENGINE=required, but sandboxes need an Engine here: %v", err)
		}
		t.Skipf("needs an OCI runtime and its cgroups: %v", err)
	}
	if out, code := output(command(append([]string{"images", "build", "--driver", "oci"}, languages...)...)); code != 0 {
		t.Fatal(out)
	}
}

// withoutDaemon returns the ids of the sandboxes of an instance of that driver.
func withoutDaemon(t *testing.T, instance string) []string {
	t.Helper()
	d, err := ociKind.open(instance, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ids, err := d.Sandboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestAServerTellsWhatMakesItsSandboxes(t *testing.T) {
	makeTrees(t, "python")
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := startServer(t, "test-driver-"+k.name, "--driver", k.name, "--languages", "python", "--pool", "python=1")
			if a := s.post(t, python("print(2 + 2)")); a.Stdout != "4\n" {
				t.Errorf("got %s", a.body)
			}
			if got := s.get(t, "/pool"); !strings.HasPrefix(got, fmt.Sprintf(`{"engine":{"driver":%q,"version":"`, k.name)) || !strings.Contains(got, `"runtime":"`) {
				t.Errorf("/pool is %s", got)
			}
			metrics := s.get(t, "/metrics")
			if !strings.Contains(metrics, fmt.Sprintf("preheat_engine_info{driver=%q,language=\"python\",runtime=\"", k.name)) {
				t.Error("the metrics do not tell the driver")
			}
			for _, word := range k.words.Operations {
				if !strings.Contains(metrics, fmt.Sprintf("preheat_engine_request_errors_total{operation=%q} 0", word)) {
					t.Errorf("the metrics have no operation %s", word)
				}
			}
			if made := s.containers(); len(made) == 0 || slices.Contains(made, "") {
				t.Errorf("its sandboxes are %q", made)
			}
			s.stop(t)
			if !strings.Contains(s.log.String(), " msg=engine driver="+k.name+" version=") {
				t.Errorf("the log is %s", s.log.String())
			}
		})
	}
}

package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestEveryAnswerIsToldByItsRoute(t *testing.T) {
	var mu sync.Mutex
	var told string
	ts := start(t, sandboxtest.NewFake(t), Config{
		Page: func(r fiber.Router) { r.Get("/", func(c *fiber.Ctx) error { return c.SendString("page") }) },
		Hooks: Hooks{Answered: func(route, method string, code int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			told = fmt.Sprint(route, " ", method, " ", code)
			if took <= 0 {
				t.Errorf("%s took %v", told, took)
			}
		}},
	})
	for _, tt := range []struct {
		method, path, body, want string
		header                   []string
	}{
		{method: "GET", path: "/healthz", want: "/healthz GET 200"},
		{method: "HEAD", path: "/pool", want: "/pool HEAD 200"},
		{method: "GET", path: "/", want: "/ GET 200"},
		{method: "GET", path: "/runs/one", want: "/runs/:id GET 404"},
		{method: "DELETE", path: "/runs/two", want: "/runs/:id DELETE 404"},
		{method: "POST", path: "/run", body: runBody("print 1"), want: "/run POST 200"},
		{method: "POST", path: "/run/stream", body: runBody("print 1"), want: "/run/stream POST 200"},
		{method: "POST", path: "/run", body: `{"code":"1","language":"cobol"}`, want: "/run POST 422"},
		{method: "POST", path: "/run", body: `{`, want: "/run POST 400"},
		{method: "OPTIONS", path: "/run", want: "/run OPTIONS 204"},
		{method: "GET", path: "/nothing", want: "other GET 404"},
		{method: "POST", path: "/", want: "other POST 405"},
		{method: "PUT", path: "/run", want: "other PUT 405"},
		{method: "BREW", path: "/run", want: "other other 405"},
		{method: "GET", path: "/healthz", header: []string{"Host", "evil.example"}, want: "other GET 403"},
	} {
		if tt.body != "" {
			tt.header = append(tt.header, "Content-Type", "application/json")
		}
		ts.do(tt.method, tt.path, tt.body, tt.header...)
		mu.Lock()
		if told != tt.want {
			t.Errorf("%s %s: told %q, want %q", tt.method, tt.path, told, tt.want)
		}
		told = ""
		mu.Unlock()
	}
}

// runLines are the run log's lines, without their times.
func (l *logged) runLines(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got["msg"] == "run" {
			lines = append(lines, got)
		}
	}
	return lines
}

func TestEveryRunIsOneLineOfTheLogWithoutItsCodeAndOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	secret, err := keys.Add(path, "ci", keys.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keys.Open(keys.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	var log logged
	ts := start(t, sandboxtest.NewFake(t), Config{Keys: ring, RunLog: true, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	post := func(path, body string) {
		t.Helper()
		ts.do("POST", path, body, "Content-Type", "application/json", "X-API-Key", secret, "X-Request-Id", "mine")
	}
	post("/run", runBody("print hush"))
	post("/run", runBody("eprint hush", "exit 3"))
	post("/run/stream", runBody("print hush"))
	post("/runs", runBody("print hush"))
	post("/run/tests", `{"code":"hush","tests":[{"stdin":"hush"},{"expected_stdout":"hush"}]}`)
	post("/run", `{"code":"hush","language":"hush"}`) // is no run
	eventually(t, "all runs are in the log", func() bool { return len(log.runLines(t)) >= 6 })

	lines := log.runLines(t)
	ids := map[any]bool{}
	for i, line := range lines {
		ids[line["id"]] = true
		status := "ok"
		if i == 1 {
			status = "error"
		}
		if line["level"] != "INFO" || line["request_id"] != "mine" || line["language"] != "python" || line["key"] != "ci" || line["status"] != status {
			t.Errorf("line %d is %v", i, line)
		}
		want := []string{"id", "key", "language", "level", "msg", "queue_ms", "request_id", "run_ms", "status", "time", "total_ms"}
		if got := slices.Sorted(maps.Keys(line)); !slices.Equal(got, want) {
			t.Errorf("line %d has %q, want %q", i, got, want)
		}
	}
	if len(lines) != 6 || len(ids) != 6 {
		t.Errorf("there are %d lines of %d runs, want 6", len(lines), len(ids))
	}
	if strings.Contains(log.String(), "hush") {
		t.Errorf("the log tells too much:\n%s", log.String())
	}
}

func TestTheRunLogCanBeOff(t *testing.T) {
	var log bytes.Buffer
	ts := start(t, sandboxtest.NewFake(t), Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	ts.run(runBody("print 1")).ran(t)
	if log.Len() != 0 {
		t.Errorf("the log is %s", &log)
	}
}

func TestRunsThatFailAreToldWithTheirReason(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = held(nil)
	runs := make(chan Run, 1)
	ts := start(t, fake, Config{Hooks: Hooks{Ran: func(r Run) { runs <- r }}})

	stubbed, err := newServer(Config{Hooks: Hooks{Ran: func(r Run) { runs <- r }}}, &stub{acquire: pool.ErrQueueFull})
	if err != nil {
		t.Fatal(err)
	}
	listen(t, stubbed).run(`{"code":"1"}`).refused(t, CodeQueueFull)
	if got := <-runs; got.Status != string(CodeQueueFull) || !got.Failed || got.Program != 0 || !got.Leased.IsZero() || got.ID == "" || got.Total <= 0 || len(got.Files) != 1 {
		t.Errorf("a run without a sandbox was told as %+v", got)
	}

	location := ts.begin(`{"code":"1"}`)
	ts.until(location, running)
	ts.do("DELETE", location, "")
	if got := <-runs; got.Status != "cancelled" || !got.Failed || got.Leased.IsZero() || got.Ended.Before(got.Leased) {
		t.Errorf("a run that was cancelled was told as %+v", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ts.begin(`{"code":"1"}`)
	eventually(t, "the run is under way", func() bool { return ts.pool.Stats().Languages[0].Leased == 1 })
	cancel()
	if err := ts.Shutdown(ctx); err == nil {
		t.Error("Shutdown waited for the run")
	}
	if got := <-runs; got.Status != string(CodeDraining) {
		t.Errorf("a run that a shutdown ended was told as %+v", got)
	}
}

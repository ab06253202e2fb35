package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/trace"
)

func TestARunIsOneTraceWithItsParts(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	const ms = time.Millisecond
	run := httpapi.Run{
		ID: "r1", RequestID: "q1", Language: "python", Key: "ci", Status: "ok", Arrived: at(0), Total: 20 * ms,
		Leased: at(5), Queue: 4 * ms, Resize: 3 * ms, Ended: at(18), Program: 9 * ms,
	}
	want := trace.Span{
		Name: "run", Start: at(0), Took: 20 * ms,
		Attributes: map[string]string{"preheat.id": "r1", "preheat.request_id": "q1", "preheat.language": "python", "preheat.status": "ok", "preheat.key": "ci"},
		Children: []trace.Span{
			{Name: "queue", Start: at(1), Took: 4 * ms}, {Name: "resize", Start: at(5), Took: 3 * ms}, {Name: "run", Start: at(9), Took: 9 * ms},
		},
	}
	if got := runSpan(run); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	run.Resize = 0
	if got := runSpan(run).Children; len(got) != 2 || got[1].Name != "run" {
		t.Errorf("without a resize the parts are %+v", got)
	}
	got := runSpan(httpapi.Run{Status: "queue_full", Failed: true, Arrived: at(0), Total: ms})
	if got.Failure != "queue_full" || got.Children != nil {
		t.Errorf("a run without a sandbox is %+v", got)
	}
}

func TestLaunchesAndDestructionsAreTraces(t *testing.T) {
	var got []trace.Span
	h := poolTraces(func(s trace.Span) { got = append(got, s) }, dockerKind.words.LaunchReason)
	h.Launched("python", time.Second, nil)
	h.Launched("python", time.Second, sandbox.ErrEngine)
	h.Destroyed("node", time.Minute, sandbox.ErrEngine)
	for i, want := range []trace.Span{
		{Name: "launch", Took: time.Second},
		{Name: "launch", Took: time.Second, Failure: "engine_down"},
		{Name: "destroy", Took: time.Minute, Failure: sandbox.ErrEngine.Error()},
	} {
		if s := got[i]; s.Name != want.Name || s.Took != want.Took || s.Failure != want.Failure || time.Since(s.Start) < want.Took {
			t.Errorf("got %+v, want %+v", s, want)
		}
	}
}

func TestAServerIsObserved(t *testing.T) {
	var mu sync.Mutex
	var traces []byte
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		traces = append(traces, got...)
	}))
	defer collector.Close()
	audited := filepath.Join(t.TempDir(), "audit.jsonl")
	s := startServer(t, "test-observed", "--languages", "python", "--pool", "python=1", "--otlp-endpoint", collector.URL, "--audit-log", audited)
	if a := s.post(t, python("print('hush')")); a.Stdout != "hush\n" {
		t.Fatalf("got %s", a.body)
	}
	got, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	metrics, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`preheat_http_requests_total{code="200",method="POST",route="/run"} 1`,
		`preheat_acquires_total{language="python",outcome="(hit|wait)"} 1`,
		`preheat_handover_duration_seconds_count{language="python"} 1`,
		`preheat_run_memory_bytes_count{language="python"} 1`,
		`preheat_run_cpu_seconds_count{language="python"} 1`,
		`preheat_engine_request_duration_seconds_count{operation="attach"} [1-9]`,
		`preheat_engine_request_duration_seconds_count{operation="create"} [1-9]`,
		`preheat_engine_request_duration_seconds_count{operation="start"} [1-9]`,
		`preheat_engine_request_errors_total{operation="create"} 0`,
		`preheat_launch_failures_total{language="python",reason="image_missing"} 0`,
		`preheat_leaked_sandboxes 0`,
	} {
		if !regexp.MustCompile(`(?m)^` + line).Match(metrics) {
			t.Errorf("%s is not in the metrics", line)
		}
	}
	if err := os.Rename(audited, audited+".1"); err != nil {
		t.Fatal(err)
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the audit log is open anew", func() bool { _, err := os.Stat(audited); return err == nil })
	if a := s.post(t, `{"code":""}`); a.Code != "invalid_field" { // is no run
		t.Errorf("got %s", a.body)
	}
	s.stop(t)
	for path, want := range map[string]string{audited: "", audited + ".1": fmt.Sprintf(`"sha256":{"main.py":"%x"}}`+"\n", sha256.Sum256([]byte("print('hush')")))} {
		if got, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(got), want) || strings.Count(string(got), "\n") != strings.Count(want, "\n") {
			t.Errorf("%s is %q, %v; want one that ends %q", path, got, err, want)
		}
	}
	line := regexp.MustCompile(`(?m)^.* msg=run id=\S+ request_id=\S+ language=python status=ok queue_ms=\S+ run_ms=\S+ total_ms=\S+ key=""$`)
	if log := s.log.String(); len(line.FindAllString(log, -1)) != 1 || strings.Contains(log, "hush") {
		t.Errorf("the log is %s", log)
	}
	for _, word := range []string{"preheat.id", "preheat.language", "launch", "destroy", "queue", "run"} {
		if !strings.Contains(string(traces), word) {
			t.Errorf("%s is not in the traces", word)
		}
	}
}

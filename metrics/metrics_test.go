package metrics

import (
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's own: one notices its server's end within 10 s, one lives
		// as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

var update = flag.Bool("update", false, "write the golden file")

var errBroken = errors.New("broken")

var driver = Driver{
	Operations: []string{"create", "remove"}, LaunchReasons: []string{"broken", "other"},
	LaunchReason: func(err error) string { return err.Error() },
}

// poolStats has a different figure in every field.
func poolStats() pool.Stats {
	return pool.Stats{MaxLive: 14, Languages: []pool.LanguageStats{
		{
			Language: "python", Size: 4, Warm: 3, Leased: 2, Launching: 1, Destroying: 5, Waiting: 6,
			Totals: pool.Totals{
				Hits: 101, Waits: 7, Launched: 100, RefusedQueueFull: 8, RefusedNoSandbox: 9, RefusedClosed: 10,
				Died: 11, Destroyed: 89, DestroyFailures: 12,
			},
		},
		{Language: "node"},
	}}
}

// used returns metrics in which everything has happened.
func used() *Metrics {
	m := New("1.2.3", driver)
	m.Engine(sandbox.EngineInfo{Name: "docker", Version: "29.1.0", Runtime: "runc"},
		[]sandbox.Language{{Name: "python", Runtime: "runsc"}, {Name: "node"}})
	m.Watch(poolStats)
	m.WatchKeys(func() keys.Stats {
		return keys.Stats{Unknown: 31, Keys: []keys.KeyStats{
			{Name: "ci", Running: 32, Admitted: 33, Refused: map[keys.Reason]uint64{keys.Daily: 34, keys.Rate: 35}}, {Name: "me"},
		}}
	})
	m.WatchHistory(func() history.Stats {
		return history.Stats{Runs: 41, Bytes: 42, Waiting: 43, Totals: history.Totals{
			Written: 44, Dropped: history.Dropped{QueueFull: 45, Disk: 46, TooLarge: 47, Duplicate: 48, Closed: 49},
		}}
	})
	m.Reaped(2)
	m.Reaped(1)
	h := m.Hooks()
	for _, err := range []error{nil, errBroken} {
		h.Acquired("python", 2*time.Millisecond, err)
		h.Launched("python", 300*time.Millisecond, err)
		h.Destroyed("python", 80*time.Millisecond, err)
	}
	h.Ran("python", 5*time.Millisecond, sandbox.Result{Status: sandbox.OK, Duration: 3 * time.Millisecond, Resized: time.Millisecond,
		Usage: sandbox.Usage{CPU: 2 * time.Millisecond, MemoryBytes: 9 << 20}}, nil)
	h.Ran("python", 5*time.Millisecond, sandbox.Result{Status: sandbox.OK, Duration: 6 * time.Millisecond}, nil)
	h.Ran("python", 5*time.Millisecond, sandbox.Result{Status: sandbox.OutOfMemory, Duration: time.Second}, nil)
	h.Ran("node", 5*time.Millisecond, sandbox.Result{Status: sandbox.Timeout, Duration: 10 * time.Second}, nil)
	h.Ran("node", 5*time.Millisecond, sandbox.Result{}, sandbox.ErrDead)
	m.Answered("/run", "POST", 200, 7*time.Millisecond)
	m.Answered("other", "GET", 404, time.Millisecond)
	m.Called("create", 20*time.Millisecond, false)
	m.Called("create", time.Second, true)
	m.Audited(3, nil)
	m.Audited(0, errBroken)
	return m
}

// The golden file holds all series of preheat itself; -update writes it.
func TestEverySeriesIsAsTheGoldenFileSays(t *testing.T) {
	const golden = "testdata/metrics.prom"
	recorder := httptest.NewRecorder()
	used().Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	var got strings.Builder
	for line := range strings.Lines(recorder.Body.String()) {
		if strings.Contains(line, "preheat_") {
			got.WriteString(line)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the metrics differ from %s:\n%s", golden, got.String())
	}
}

func TestHistogramsAreClassicAndNative(t *testing.T) {
	families, err := used().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		for _, metric := range f.Metric {
			if h := metric.Histogram; h != nil && strings.HasPrefix(f.GetName(), "preheat_") {
				seen++
				if len(h.Bucket) == 0 || h.Schema == nil || h.GetZeroThreshold() == 0 {
					t.Errorf("%s has %d classic buckets and the schema %v", f.GetName(), len(h.Bucket), h.Schema)
				}
			}
		}
	}
	if seen < 9 {
		t.Errorf("there are %d histograms", seen)
	}
}

func TestNamesAndHelpsKeepToTheConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(used().registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTheProcessAndTheRuntimeAreShown(t *testing.T) {
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if n, err := testutil.GatherAndCount(New("", driver).registry, name); n != 1 || err != nil {
			t.Errorf("%s: %d series and %v, want one", name, n, err)
		}
	}
}

// The counters of a pool that has done nothing are there, so that their first
// increase is seen.
func TestCountersBeginAtZero(t *testing.T) {
	m := New("", driver)
	m.Watch(poolStats)
	for name, want := range map[string]int{"preheat_runs_total": 2 * len(sandbox.Statuses), "preheat_run_failures_total": 2, "preheat_reaped_sandboxes_total": 1,
		"preheat_launch_failures_total": 2 * len(driver.LaunchReasons), "preheat_engine_request_errors_total": len(driver.Operations), "preheat_acquires_total": 4, "preheat_leaked_sandboxes": 1} {
		if n, err := testutil.GatherAndCount(m.registry, name); n != want || err != nil {
			t.Errorf("%s: %d series and %v, want %d", name, n, err, want)
		}
	}
}

func TestARealPoolIsObserved(t *testing.T) {
	m := New("", driver)
	p, err := pool.New(sandboxtest.NewFake(t), pool.Config{
		Languages: []pool.Member{{Language: sandboxtest.FakeLanguage("python"), Size: 1}}, Hooks: m.Hooks(),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(p.Stats)
	lease, err := p.Acquire(t.Context(), "python")
	if err != nil {
		t.Fatal(err)
	}
	program := sandbox.Program{Files: []sandbox.File{{Name: "main.txt"}}, Timeout: time.Second, OutputBytes: 1}
	if _, err := lease.Run(t.Context(), program, &sandbox.Capture{}); err != nil {
		t.Fatal(err)
	}
	lease.Close()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(m.runs.WithLabelValues("python", "ok")); n != 1 {
		t.Errorf("%v runs were counted, want 1", n)
	}
	for _, name := range []string{"preheat_acquire_wait_seconds", "preheat_launch_duration_seconds", "preheat_destroy_duration_seconds"} {
		if n, err := testutil.GatherAndCount(m.registry, name); n != 1 || err != nil {
			t.Errorf("%s: %d series and %v, want one", name, n, err)
		}
	}
}

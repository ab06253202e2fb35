package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestRunAnswersInTheDocumentedShape(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		out.Stdout([]byte("4 <b>&\n"))
		return sandbox.Result{Status: sandbox.OK, Usage: sandbox.Usage{CPU: 3210 * time.Microsecond, MemoryBytes: 9437184}}, nil
	}
	r := start(t, fake, Config{}).do("POST", "/run", `{"code":"print(2 + 2)"}`,
		"Content-Type", "application/json; charset=utf-8", "X-Request-Id", "my-id.1_A")
	shape := regexp.MustCompile(`^\{"id":"[A-Z0-9]{26}","language":"python","status":"ok","stdout":"4 <b>&\\n","stderr":"",` +
		`"exit_code":0,"error":null,"truncated":false,` +
		`"timing":\{"queue_ms":\d+(\.\d)?,"run_ms":\d+(\.\d)?,"total_ms":\d+(\.\d)?\},` +
		`"usage":\{"cpu_ms":3\.2,"memory_bytes":9437184\}\}\n$`)
	if r.status != 200 || !shape.MatchString(r.body) {
		t.Errorf("got %d %s", r.status, r.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Request-Id": "my-id.1_A",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAProgramThatRanIsAnsweredWith200(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{OutputBytes: 1000, FloodBytes: 1 << 20})
	encode := func(v any) string {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	type object = map[string]any
	tests := []struct {
		name, body             string
		status                 sandbox.Status
		stdout, stderr, reason string
		exit                   int
		truncated              bool
	}{
		{"it prints", runBody("print 4"), sandbox.OK, "4\n", "", "", 0, false},
		{"it is in Node", encode(object{"language": "node", "code": program("print 4")}), sandbox.OK, "4\n", "", "", 0, false},
		{"it is in js", encode(object{"language": "js", "code": program("print 4")}), sandbox.OK, "4\n", "", "", 0, false},
		{"it fails", runBody("eprint sorry", "exit 3"), sandbox.Error, "", "sorry\n", "Exited with code 3", 3, false},
		{"it is killed by a signal", runBody("exit 139"), sandbox.Error, "", "", "Killed by SIGSEGV", 139, false},
		{"it reads stdin", encode(object{"code": program("stdin"), "stdin": "in\n"}), sandbox.OK, "in\n", "", "", 0, false},
		{"it has args and env", encode(object{"code": program("args", "env A"), "args": []string{"x", "y z"}, "env": object{"A": "1"}}),
			sandbox.OK, "x\ny z\n1\n", "", "", 0, false},
		{"it has files", encode(object{"code": program("cat a/b"), "files": []object{{"name": "a/b", "content": "aGk=", "encoding": "base64"}}}),
			sandbox.OK, "hi", "", "", 0, false},
		{"it takes too long", encode(object{"code": program("print before", "spin"), "timeout_ms": 250}),
			sandbox.Timeout, "before\n", "", "Execution timed out after 250 milliseconds", 137, false},
		{"it prints much", runBody("repeat 20000 x"), sandbox.OK, strings.Repeat("x", 1000), "", "", 0, true},
		{"it prints too much", runBody("flood"), sandbox.OutputLimit, "", "", "Too much output: the limit is 1 MiB", 137, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ts.run(tt.body).ran(t)
			if got.Status != tt.status || got.ExitCode != tt.exit || got.Truncated != tt.truncated || got.Stderr != tt.stderr {
				t.Errorf("got %+v", got)
			}
			if got.Status != sandbox.OutputLimit && got.Stdout != tt.stdout {
				t.Errorf("stdout is %q, want %q", got.Stdout, tt.stdout)
			}
			if tt.reason == "" && got.Error != nil || tt.reason != "" && (got.Error == nil || *got.Error != tt.reason) {
				t.Errorf("error is %v, want %q", got.Error, tt.reason)
			}
			if len(got.ID) < 16 {
				t.Errorf("the id is %q", got.ID)
			}
		})
	}
}

func TestOutputThatIsNotUTF8IsReplaced(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		out.Stdout([]byte("a\xff\x00é\xc3"))
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	got := start(t, fake, Config{}).run(`{"code":"1"}`).ran(t)
	if want := "a\uFFFD\x00é\uFFFD"; got.Stdout != want {
		t.Errorf("stdout is %q, want %q", got.Stdout, want)
	}
}

func TestBadBodiesAreRefusedOverHTTP(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	for _, tt := range badBodies {
		t.Run(tt.name, func(t *testing.T) {
			if got := ts.run(tt.body).refused(t, tt.code); got.Error != tt.sentence {
				t.Errorf("the sentence is %q, want %q", got.Error, tt.sentence)
			}
		})
	}
}

// stub is a pool whose errors are forced.
type stub struct {
	acquire error // of every Acquire
	run     []error
	panics  bool
	runtime string // of its language

	mu               sync.Mutex // guards what follows
	acquired, closed int
}

func (s *stub) Acquire(context.Context, string) (lease, error) {
	if s.acquire != nil {
		return nil, s.acquire
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acquired++
	var err error
	if s.acquired <= len(s.run) {
		err = s.run[s.acquired-1]
	}
	return &stubLease{s, err}, nil
}

func (s *stub) Ready() bool       { return true }
func (s *stub) Stats() pool.Stats { return pool.Stats{} }
func (s *stub) Languages() []sandbox.Language {
	python := sandboxtest.FakeLanguage("python")
	python.Runtime = s.runtime
	return []sandbox.Language{python}
}
func (s *stub) RetryAfter(string) time.Duration { return 2500 * time.Millisecond }

type stubLease struct {
	stub *stub
	err  error
}

func (l *stubLease) Run(context.Context, sandbox.Program, sandbox.Output) (sandbox.Result, error) {
	if l.stub.panics {
		panic("secret")
	}
	return sandbox.Result{Status: sandbox.OK}, l.err
}
func (l *stubLease) Waited() time.Duration { return 20 * time.Millisecond }
func (l *stubLease) Close() {
	l.stub.mu.Lock()
	defer l.stub.mu.Unlock()
	l.stub.closed++
}

func TestOurFailuresAreAnsweredWithTheirCode(t *testing.T) {
	secret := errors.New("secret")
	dead := fmt.Errorf("x: %w", sandbox.ErrDead)
	tests := []struct {
		name     string
		pool     stub
		code     Code // empty: the program ran
		acquired int
	}{
		{"the queue is full", stub{acquire: pool.ErrQueueFull}, CodeQueueFull, 0},
		{"no sandbox in time", stub{acquire: errors.Join(pool.ErrNoSandbox, context.DeadlineExceeded)}, CodeNoSandbox, 0},
		{"no sandbox since the engine is down", stub{acquire: errors.Join(pool.ErrNoSandbox, sandbox.ErrEngine)}, CodeEngineDown, 0},
		{"the pool is closed", stub{acquire: pool.ErrClosed}, CodeDraining, 0},
		{"acquire fails", stub{acquire: secret}, CodeInternal, 0},
		{"the engine fails", stub{run: []error{errors.Join(sandbox.ErrEngine, secret)}}, CodeEngineDown, 1},
		{"the run fails", stub{run: []error{secret}}, CodeInternal, 1},
		{"the run is lost", stub{run: []error{context.DeadlineExceeded}}, CodeInternal, 1},
		{"two sandboxes are dead", stub{run: []error{dead, dead}}, "", 3},
		{"three sandboxes are dead", stub{run: []error{dead, dead, dead}}, CodeNoSandbox, 3},
		{"the second sandbox fails", stub{run: []error{dead, secret}}, CodeInternal, 2},
		{"a panic", stub{panics: true}, CodeInternal, 1},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			var log logged
			s, err := newServer(Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, &tt.pool)
			if err != nil {
				t.Fatal(err)
			}
			r := listen(t, s).run(`{"code":"1"}`)
			if tt.code == "" {
				if got := r.ran(t); got.Timing.Queue != 60 {
					t.Errorf("the three waits sum up to %v ms, want 60", got.Timing.Queue)
				}
			} else {
				r.refused(t, tt.code)
			}
			if strings.Contains(r.body, "secret") {
				t.Errorf("the answer shows a detail: %s", r.body)
			}
			if got := r.header.Get("Retry-After"); tt.code != CodeInternal && tt.code != "" && got != "3" {
				t.Errorf("Retry-After is %q, want 3", got)
			}
			lines := strings.Count(log.String(), "request failed")
			if wants := statusOf[tt.code] >= 500; wants && (lines != 1 || !strings.Contains(log.String(), r.header.Get("X-Request-Id"))) || !wants && lines != 0 {
				t.Errorf("the log of a %d is %q", r.status, log.String())
			}
			if tt.pool.acquired != tt.acquired || tt.pool.closed != tt.acquired {
				t.Errorf("%d leases acquired and %d closed, want %d", tt.pool.acquired, tt.pool.closed, tt.acquired)
			}
		})
	}
}

func TestABurstIsAnsweredOnceEach(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	var mu sync.Mutex // guards ran
	ran := map[string]int{}
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		mu.Lock()
		ran[string(p.Stdin)]++
		mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		return sandboxtest.Interpret(ctx, p, out)
	}
	ts := startPool(t, fake, Config{}, pool.Config{Queue: 10})
	const requests = 50
	replies := make([]reply, requests)
	var clients sync.WaitGroup
	for i := range requests {
		clients.Go(func() {
			body, _ := json.Marshal(map[string]string{"code": program("stdin"), "stdin": fmt.Sprint(i)})
			replies[i] = ts.run(string(body))
		})
	}
	clients.Wait()

	accepted := 0
	for i, r := range replies {
		name := fmt.Sprint(i)
		if r.status == 429 {
			r.refused(t, CodeQueueFull)
			if ran[name] != 0 {
				t.Errorf("the refused request %d ran", i)
			}
			continue
		}
		accepted++
		if got := r.ran(t); got.Stdout != name || ran[name] != 1 {
			t.Errorf("request %d ran %d times and was answered %q", i, ran[name], got.Stdout)
		}
	}
	if accepted < 4 || accepted == requests {
		t.Errorf("%d of %d requests were accepted", accepted, requests)
	}
}

func TestARequestWaitsForASandboxNoLongerThanItsTime(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(ctx context.Context, _ sandbox.Language) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ts := start(t, fake, Config{QueueTimeout: 50 * time.Millisecond})
	begin := time.Now()
	ts.run(`{"code":"1"}`).refused(t, CodeNoSandbox)
	if took := time.Since(begin); took < 50*time.Millisecond || took > patience/2 {
		t.Errorf("the answer took %v", took)
	}
}

func TestAClientThatGoesAwayLeavesNothing(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	running := make(chan struct{})
	release := make(chan struct{})
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		close(running)
		return held(release)(ctx, p, out)
	}
	ts := start(t, fake, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	var client sync.WaitGroup
	client.Go(func() { _ = ts.abandon(ctx, `{"code":"1"}`) })
	<-running
	cancel()
	client.Wait()
	close(release)
	eventually(t, "the sandbox is replaced", func() bool { return fake.Count().Launched == 6 && len(fake.IDs()) == 5 })
}

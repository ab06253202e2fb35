package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// streaming asks for a stream and gives it once it has begun. It ends with ctx.
func (ts *testServer) streaming(ctx context.Context, body string) *bufio.Reader {
	ts.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ts.url+"/run/stream", strings.NewReader(body))
	if err != nil {
		ts.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := ts.transport.RoundTrip(req)
	if err != nil {
		ts.t.Fatal(err)
	}
	ts.t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		ts.t.Fatalf("got %d %s", resp.StatusCode, kind)
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Accel-Buffering") != "no" {
		ts.t.Errorf("the headers are %v", resp.Header)
	}
	return bufio.NewReader(resp.Body)
}

// next reads the event that must come now, into data.
func next(t *testing.T, r *bufio.Reader, name string, data any) {
	t.Helper()
	e, err := readEvent(r)
	if err != nil || e.name != name {
		t.Fatalf("got the event %+v and the error %v, want %s", e, err, name)
	}
	d := json.NewDecoder(strings.NewReader(e.data))
	d.DisallowUnknownFields()
	if err := d.Decode(data); err != nil {
		t.Fatalf("the data %s: %v", e.data, err)
	}
}

func nextText(t *testing.T, r *bufio.Reader, name, want string) {
	t.Helper()
	var got outputEvent
	if next(t, r, name, &got); got.Text != want {
		t.Fatalf("%s is %q, want %q", name, got.Text, want)
	}
}

func ends(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if e, err := readEvent(r); !errors.Is(err, io.EOF) {
		t.Errorf("after the end there is %+v (%v)", e, err)
	}
}

// varying is what differs between two runs of the same program.
var varying = regexp.MustCompile(`"id":"[^"]+"|_ms":[0-9.]+`)

func TestAStreamShowsARunWhileItGoesOn(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	steps := make(chan struct{})
	files := []sandbox.File{{Name: "a.txt", Content: []byte("hi")}, {Name: "b/c.png", Content: []byte("\x89PNG\r\n\x1a\n")}}
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		for _, print := range []func(){
			func() { out.Stdout([]byte("first\xc3")) },
			func() { out.Stdout([]byte("\xa9")) },
			func() { out.Stderr([]byte("\xff")) },
		} {
			print()
			if string(p.Stdin) == "step" {
				select {
				case <-steps:
				case <-ctx.Done():
				}
			}
		}
		out.Stdout([]byte("last\xe2"))
		return sandbox.Result{Status: sandbox.Error, ExitCode: 3, Files: files, FilesOmitted: 1}, nil
	}
	ts := start(t, fake, Config{})
	for range 2 { // on one connection
		r := ts.streaming(t.Context(), `{"code":"1","stdin":"step"}`)
		var started startedEvent
		if next(t, r, "started", &started); started.Language != "python" || len(started.ID) < 16 {
			t.Errorf("started says %+v", started)
		}
		nextText(t, r, "stdout", "first")
		steps <- struct{}{}
		nextText(t, r, "stdout", "é")
		steps <- struct{}{}
		nextText(t, r, "stderr", "\uFFFD")
		steps <- struct{}{}
		nextText(t, r, "stdout", "last")
		nextText(t, r, "stdout", "\uFFFD")
		for _, want := range files {
			var got answerFile
			if next(t, r, "file", &got); !reflect.DeepEqual(got, newAnswerFile(want)) {
				t.Errorf("the file is %+v", got)
			}
		}
		e, err := readEvent(r)
		if err != nil || e.name != "result" {
			t.Fatalf("got the event %+v (%v), want the result", e, err)
		}
		plain := ts.run(`{"code":"1"}`).body
		if got, want := varying.ReplaceAllString(e.data, ""), varying.ReplaceAllString(strings.TrimSpace(plain), ""); got != want {
			t.Errorf("the result is %s\nand /run answers %s", got, want)
		}
		if !strings.Contains(e.data, `"id":"`+started.ID+`"`) {
			t.Errorf("the result has another id than started: %s", e.data)
		}
		ends(t, r)
	}
}

func TestAStreamThatDoesNotStartIsAPlainRefusal(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	for _, tt := range badBodies[:10] {
		ts.do("POST", "/run/stream", tt.body, "Content-Type", "application/json").refused(t, tt.code)
	}
	for _, tt := range []struct {
		err  error
		code Code
	}{{pool.ErrQueueFull, CodeQueueFull}, {pool.ErrNoSandbox, CodeNoSandbox}, {errors.New("secret"), CodeInternal}} {
		var log logged
		s, err := newServer(Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, &stub{acquire: tt.err})
		if err != nil {
			t.Fatal(err)
		}
		listen(t, s).do("POST", "/run/stream", `{"code":"1"}`, "Content-Type", "application/json").refused(t, tt.code)
		if lines, want := strings.Count(log.String(), "request failed"), statusOf[tt.code]/500; lines != want {
			t.Errorf("%v: the log has %d lines, want %d: %s", tt.err, lines, want, log.String())
		}
	}
}

func TestAStreamThatFailsAfterItsStartSaysSo(t *testing.T) {
	dead := errors.Join(sandbox.ErrDead)
	for _, tt := range []struct {
		pool *stub
		last string
	}{
		{&stub{run: []error{errors.New("secret")}}, `{"error":"Something went wrong in the server; its log says what","code":"internal"}`},
		{&stub{panics: true}, `{"error":"Something went wrong in the server; its log says what","code":"internal"}`},
		{&stub{run: []error{dead, dead, dead}}, `{"error":"No sandbox lived long enough to start the program","code":"no_sandbox"}`},
		{&stub{run: []error{dead, dead}}, ""},
	} {
		var log logged
		s, err := newServer(Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, tt.pool)
		if err != nil {
			t.Fatal(err)
		}
		r := listen(t, s).streaming(t.Context(), `{"code":"1"}`)
		next(t, r, "started", new(startedEvent))
		e, err := readEvent(r)
		if err != nil || tt.last != "" && e != (event{"error", tt.last}) || tt.last == "" && e.name != "result" {
			t.Errorf("got %+v (%v), want %s", e, err, tt.last)
		}
		ends(t, r)
		if lines := strings.Count(log.String(), "request failed"); (lines == 1) != (tt.last != "") {
			t.Errorf("the log is %q", log.String())
		}
	}
}

// watched is a RunFunc that tells of its start and of its end by ctx.
func watched(print string) (run sandboxtest.RunFunc, began, ended chan struct{}) {
	began, ended = make(chan struct{}), make(chan struct{})
	return func(ctx context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		for text := print; len(text) > 0; text = text[min(len(text), 64<<10):] {
			out.Stdout([]byte(text[:min(len(text), 64<<10)]))
		}
		close(began)
		<-ctx.Done()
		close(ended)
		return sandbox.Result{}, ctx.Err()
	}, began, ended
}

func TestAClientThatLeavesItsStreamEndsTheRun(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	run, began, ended := watched("")
	fake.OnRun = run
	ts := start(t, fake, Config{Timeout: time.Hour})
	ts.warm()
	ctx, cancel := context.WithCancel(t.Context())
	next(t, ts.streaming(ctx, `{"code":"1"}`), "started", new(startedEvent))
	<-began
	cancel()
	<-ended
	eventually(t, "the sandbox is replaced", func() bool { return fake.Count().Launched == 6 && len(fake.IDs()) == 5 })
}

func TestAStreamTellsItsPlaceInTheLine(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = held(release)
	ts := startPool(t, fake, Config{}, pool.Config{Queue: 2, MaxLive: 5})
	ts.warm()
	const node = `{"code":"1","language":"node"}`
	first := ts.streaming(t.Context(), node) // takes the only sandbox there may be
	next(t, first, "started", new(startedEvent))
	second, third := ts.streaming(t.Context(), node), ts.streaming(t.Context(), node)
	var place queuedEvent
	if next(t, second, "queued", &place); place.Position != 1 {
		t.Errorf("the second is at %d", place.Position)
	}
	if next(t, third, "queued", &place); place.Position != 2 {
		t.Errorf("the third is at %d", place.Position)
	}
	close(release)
	next(t, second, "started", new(startedEvent))
	nextText(t, second, "stdout", "done\n")
	next(t, second, "result", new(runAnswer))
}

func TestAStreamThatWaitsInVainSaysSo(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(ctx context.Context, _ sandbox.Language) error {
		<-ctx.Done()
		return ctx.Err()
	}
	ts := start(t, fake, Config{QueueTimeout: 6 * queueTick})
	r := ts.streaming(t.Context(), `{"code":"1"}`)
	next(t, r, "queued", new(queuedEvent))
	var got errorAnswer
	if next(t, r, "error", &got); got.Code != CodeNoSandbox {
		t.Errorf("the error is %+v", got)
	}
	ends(t, r)
	short := start(t, fake, Config{QueueTimeout: queueTick / 100})
	short.do("POST", "/run/stream", `{"code":"1"}`, "Content-Type", "application/json").refused(t, CodeNoSandbox)
}

func TestShutdownWaitsForARunWhoseClientHasGone(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	noticed, release := make(chan struct{}), make(chan struct{})
	fake.OnRun = func(ctx context.Context, _ sandbox.Program, _ sandbox.Output) (sandbox.Result, error) {
		<-ctx.Done()
		close(noticed)
		<-release
		return sandbox.Result{}, ctx.Err()
	}
	ts := start(t, fake, Config{Timeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	next(t, ts.streaming(ctx, `{"code":"1"}`), "started", new(startedEvent))
	cancel()
	<-noticed
	eventually(t, "the connection is closed", func() bool { return len(ts.listener.open()) == 0 })
	down := make(chan error, 1)
	go func() { down <- ts.Shutdown(t.Context()); close(down) }()
	select {
	case <-down:
		t.Error("Shutdown has not waited")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestAClientThatDoesNotReadDoesNotHoldTheProgramUp(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	const bytes = 16 << 20 // more than sockets hold
	returned := make(chan struct{})
	fake.OnRun = func(_ context.Context, _ sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		defer close(returned)
		piece := []byte(strings.Repeat("x", 64<<10))
		for range bytes / len(piece) {
			out.Stdout(piece)
		}
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	ts := start(t, fake, Config{OutputBytes: bytes})
	r := ts.streaming(t.Context(), `{"code":"1"}`)
	<-returned
	next(t, r, "started", new(startedEvent))
	for got := 0; got < bytes; {
		var out outputEvent
		next(t, r, "stdout", &out)
		got += len(out.Text)
	}
	var result runAnswer
	if next(t, r, "result", &result); len(result.Stdout) != bytes {
		t.Errorf("the result has %d bytes", len(result.Stdout))
	}
}

func TestAClientThatNeverReadsIsGivenUp(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	run, _, ended := watched(strings.Repeat("x", 16<<20))
	fake.OnRun = run
	ts := start(t, fake, Config{OutputBytes: 16 << 20, WriteTimeout: 50 * time.Millisecond, Heartbeat: 10 * time.Millisecond, Timeout: time.Hour})
	ts.streaming(t.Context(), `{"code":"1"}`)
	<-ended
	eventually(t, "no sandbox is leased", func() bool { return ts.pool.Stats().Languages[0].Leased == 0 })
}

func TestASilentStreamShowsThatItLives(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = held(release)
	ts := start(t, fake, Config{Heartbeat: time.Millisecond})
	r := ts.streaming(t.Context(), `{"code":"1"}`)
	next(t, r, "started", new(startedEvent))
	if line, err := r.ReadString('\n'); err != nil || line != ": still running\n" {
		t.Errorf("got the line %q (%v)", line, err)
	}
	close(release)
	nextText(t, r, "stdout", "done\n")
	next(t, r, "result", new(runAnswer))
}

func TestShutdownLetsAStreamFinish(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = held(release)
	ts := start(t, fake, Config{})
	r := ts.streaming(t.Context(), `{"code":"1"}`)
	var shutdown sync.WaitGroup
	shutdown.Go(func() {
		if err := ts.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	eventually(t, "the server drains", ts.draining.Load)
	close(release)
	next(t, r, "started", new(startedEvent))
	nextText(t, r, "stdout", "done\n")
	next(t, r, "result", new(runAnswer))
	ends(t, r)
	shutdown.Wait()
}

func TestShutdownCutsAStreamOffWhenItsTimeIsUp(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	run, began, _ := watched("x")
	fake.OnRun = run
	ts := start(t, fake, Config{})
	r := ts.streaming(t.Context(), `{"code":"1"}`)
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	next(t, r, "started", new(startedEvent))
	nextText(t, r, "stdout", "x")
	var got errorAnswer
	if next(t, r, "error", &got); got.Code != CodeDraining {
		t.Errorf("the error is %+v", got)
	}
	ends(t, r)
}

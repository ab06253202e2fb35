package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// begin starts a run that is not waited for, and gives its place.
func (ts *testServer) begin(body string) (location string) {
	ts.t.Helper()
	r := ts.do("POST", "/runs", body, "Content-Type", "application/json")
	got := r.async(ts.t, 202)
	if got.State != queued || got.Result != nil || got.Error != nil || got.Created.IsZero() || r.header.Get("Location") != "/runs/"+got.ID {
		ts.t.Errorf("got %s at %q", r.body, r.header.Get("Location"))
	}
	return r.header.Get("Location")
}

func (r reply) async(t *testing.T, status int) asyncAnswer {
	t.Helper()
	var got asyncAnswer
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || r.status != status {
		t.Fatalf("got %d %s (%v), want a run with %d", r.status, r.body, err, status)
	}
	return got
}

// until asks for a run until its state is that.
func (ts *testServer) until(location string, state runState) (got asyncAnswer) {
	ts.t.Helper()
	eventually(ts.t, location+" is "+string(state), func() bool {
		got = ts.do("GET", location, "").async(ts.t, 200)
		return got.State == state
	})
	return got
}

// perProgram is a RunFunc whose programs wait for their own release, by stdin.
// Those that have none do not wait.
func perProgram(release map[string]chan struct{}) sandboxtest.RunFunc {
	return func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		if wait, ok := release[string(p.Stdin)]; ok {
			return held(wait)(ctx, p, out)
		}
		return sandboxtest.Interpret(ctx, p, out)
	}
}

func TestARunIsFetchedWhenItHasFinished(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = perProgram(map[string]chan struct{}{"hold": release})
	ts := start(t, fake, Config{})
	body := `{"code":"1","files":[{"name":"f","content":"AAE=","encoding":"base64"}],"stdin":"hold"}`
	location := ts.begin(body)
	if got := ts.until(location, running); got.Result != nil || got.Error != nil {
		t.Errorf("a run that goes on is %+v", got)
	}
	close(release)
	ts.until(location, finished)
	text := ts.do("GET", location, "").body
	_, result, found := strings.Cut(strings.TrimSuffix(text, "}\n"), `"result":`)
	plain := ts.run(body).body
	if got, want := varying.ReplaceAllString(result, ""), varying.ReplaceAllString(strings.TrimSpace(plain), ""); !found || got != want {
		t.Errorf("the result is %s\nand /run answers %s", got, want)
	}
	got := ts.do("GET", location, "").async(t, 200)
	if location != "/runs/"+got.Result.ID || got.Request == nil || string(encodeJSON(got.Request)) != body+"\n" {
		t.Errorf("%s is %s", location, text)
	}
	ts.do("GET", "/runs/nosuch", "").refused(t, CodeNotFound)
	ts.do("DELETE", "/runs/nosuch", "").refused(t, CodeNotFound)
}

func TestAFormMayBeRunAsynchronously(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	r := ts.do("POST", "/runs", formOf(t, filePart("main.py", program("cat b")), filePart("b", "\xff\x00")), "Content-Type", formType)
	if r.status != 202 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	got := ts.until(r.header.Get("Location"), finished)
	if got.Result.Stdout != "\uFFFD\x00" || len(got.Request.Files) != 2 || got.Request.Files[1].Content != "/wA=" || got.Request.Files[1].Encoding != "base64" {
		t.Errorf("got %+v", got)
	}
}

func TestBadAsynchronousRunsAreRefusedAtOnce(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{MaxAsync: 1})
	for _, tt := range badBodies {
		ts.do("POST", "/runs", tt.body, "Content-Type", "application/json").refused(t, tt.code)
	}
	ts.until(ts.begin(`{"code":"1"}`), finished) // none of them takes room
}

func TestARunIsEndedAndForgottenByDelete(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	run, began, ended := watched("")
	var first sync.Once
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (result sandbox.Result, err error) {
		result, err = sandboxtest.Interpret(ctx, p, out)
		if string(p.Stdin) == "hold" {
			first.Do(func() { result, err = run(ctx, p, out) })
		}
		return result, err
	}
	s := start(t, fake, Config{MaxAsync: 2})
	s.async.turns = make(chan struct{}, 1) // of two runs, one is queued
	s.warm()
	goesOn := s.begin(`{"code":"1","stdin":"hold"}`)
	<-began
	s.until(goesOn, running)
	waits := s.begin(`{"code":"1"}`)
	s.until(waits, queued)
	s.do("POST", "/runs", `{"code":"1"}`, "Content-Type", "application/json").refused(t, CodeQueueFull)

	forgotten := func(location string) {
		t.Helper()
		if r := s.do("DELETE", location, ""); r.status != 204 || r.body != "" {
			t.Errorf("DELETE is answered %d %q", r.status, r.body)
		}
		s.do("GET", location, "").refused(t, CodeNotFound)
		s.do("DELETE", location, "").refused(t, CodeNotFound)
	}
	forgotten(waits)
	eventually(t, "there is room for a run", func() bool {
		s.async.mu.Lock()
		defer s.async.mu.Unlock()
		return s.async.active == 1
	})
	last := s.begin(`{"code":"1"}`)
	forgotten(goesOn)
	<-ended
	s.until(last, finished)
	forgotten(last)
	eventually(t, "both sandboxes are replaced, and none was taken by the run that was queued", func() bool {
		return fake.Count().Launched == 7 && len(fake.IDs()) == 5
	})
}

func TestARunThatWeFailIsLost(t *testing.T) {
	for _, tt := range []struct {
		pool *stub
		code Code
	}{
		{&stub{run: []error{errors.Join(sandbox.ErrEngine, errors.New("secret"))}}, CodeEngineDown},
		{&stub{panics: true}, CodeInternal},
		{&stub{acquire: pool.ErrClosed}, CodeDraining},
	} {
		s, err := newServer(Config{}, tt.pool)
		if err != nil {
			t.Fatal(err)
		}
		ts := listen(t, s)
		got := ts.until(ts.begin(`{"code":"1"}`), lost)
		if got.Result != nil || got.Error == nil || got.Error.Code != tt.code || strings.Contains(fmt.Sprint(*got.Error), "secret") {
			t.Errorf("got %+v, want %s", got, tt.code)
		}
	}
}

func TestMoreRunsThanThePoolTakesAreAllCarriedOut(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	ts := startPool(t, fake, Config{}, pool.Config{Queue: 1})
	var locations []string
	for i := range 40 {
		locations = append(locations, ts.begin(fmt.Sprintf(`{"code":"%d"}`, i)))
	}
	for i, location := range locations {
		if got := ts.until(location, finished); got.Result.Stdout != fmt.Sprint(i) {
			t.Errorf("the run %d printed %q", i, got.Result.Stdout)
		}
	}
}

func TestShutdownLetsAsynchronousRunsFinish(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = held(release)
	ts := start(t, fake, Config{})
	ts.async.turns = make(chan struct{}, 1)
	var ids []string
	for range 2 { // one goes on and one is queued
		ids = append(ids, strings.TrimPrefix(ts.begin(`{"code":"1"}`), "/runs/"))
	}
	var shutdown sync.WaitGroup
	shutdown.Go(func() {
		if err := ts.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	eventually(t, "the server drains", ts.draining.Load)
	close(release)
	shutdown.Wait()
	for _, id := range ids {
		if got, ok := ts.async.get(caller{}, id); !ok || got.State != finished || got.Result.Stdout != "done\n" {
			t.Errorf("the run is %+v ", got)
		}
	}
}

func TestShutdownEndsAsynchronousRunsWhenItsTimeIsUp(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	run, began, ended := watched("")
	fake.OnRun = run
	ts := start(t, fake, Config{})
	ts.async.turns = make(chan struct{}, 1)
	var ids []string
	for range 2 {
		ids = append(ids, strings.TrimPrefix(ts.begin(`{"code":"1"}`), "/runs/"))
	}
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	<-ended
	for _, id := range ids {
		if got, ok := ts.async.get(caller{}, id); !ok || got.State != lost || got.Error.Code != CodeDraining {
			t.Errorf("the run is %+v with the error %+v", got, got.Error)
		}
	}
}

package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestLanguagesTellsNamesAndLimits(t *testing.T) {
	r := start(t, sandboxtest.NewFake(t), Config{MaxTimeout: 20 * time.Second}).do("GET", "/languages", "")
	want := `{"default":"python","languages":[` +
		`{"name":"python","aliases":[],"version":"1.0","entry":"main.py","limits":` +
		`{"memory_bytes":134217728,"pids":64,"cpus":0.5,"work_bytes":67108864,"work_files":4096,"open_files":256}},` +
		`{"name":"node","aliases":["javascript","js"],"version":"1.0","entry":"main.js","limits":` +
		`{"memory_bytes":134217728,"pids":64,"cpus":0.5,"work_bytes":67108864,"work_files":4096,"open_files":256}}],` +
		`"limits":{"code_chars":5000,"body_bytes":1048576,"output_bytes":65536,"timeout_ms":10000,"max_timeout_ms":20000}}` + "\n"
	if r.status != 200 || r.body != want {
		t.Errorf("got  %d %s\nwant %s", r.status, r.body, want)
	}
}

func TestPoolTellsFiguresAndTheirTotals(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{Engine: sandbox.EngineInfo{Name: "docker", Version: "29.1.0", Runtime: "runc"}})
	ts.warm()
	var got poolAnswer
	if err := json.Unmarshal([]byte(ts.do("GET", "/pool", "").body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Languages) != 2 || got.Languages[0].Language != "python" || got.Languages[0].Warm != 4 || got.Languages[1].Size != 1 {
		t.Errorf("the languages are %+v", got.Languages)
	}
	if want := (figures{Size: 5, Warm: 5, Launched: 5}); got.Totals != want {
		t.Errorf("the totals are %+v, want %+v", got.Totals, want)
	}
	if want := (engineAnswer{"docker", "29.1.0"}); got.Engine != want || got.Languages[0].Runtime != "runc" {
		t.Errorf("the engine is %+v, the runtime %q", got.Engine, got.Languages[0].Runtime)
	}
}

func TestARuntimeOfALanguageWinsOverTheEngines(t *testing.T) {
	s, err := newServer(Config{Engine: sandbox.EngineInfo{Name: "oci", Runtime: "crun"}}, &stub{runtime: "runsc"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.look(time.Now()); got.Engine.Driver != "oci" || s.runtimes["python"] != "runsc" {
		t.Errorf("got %+v, runtimes %v", got, s.runtimes)
	}
}

func TestTotalsSumUpEveryFigure(t *testing.T) {
	one := figures{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	sum := one
	sum.add(one)
	if want := (figures{2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}); sum != want {
		t.Errorf("the sum is %+v", sum)
	}
}

func TestHealthzTellsTheVersion(t *testing.T) {
	r := start(t, sandboxtest.NewFake(t), Config{Version: "1.2.3"}).do("GET", "/healthz", "")
	if want := `{"status":"ok","version":"1.2.3"}` + "\n"; r.status != 200 || r.body != want {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestReadyzNeedsTheEngineAndASandboxOfEachLanguage(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	var failing atomic.Bool
	failing.Store(true)
	fake.OnLaunch = func(_ context.Context, lang sandbox.Language) error {
		if lang.Name == "node" && failing.Load() {
			return errors.New("no such image")
		}
		return nil
	}
	var down atomic.Bool
	ts := start(t, fake, Config{Check: func(context.Context) error {
		if down.Load() {
			return errors.New("connection refused")
		}
		return nil
	}})
	eventually(t, "the launch of a language failed", func() bool { return ts.pool.Stats().Languages[1].LaunchError != nil })
	got := ts.do("GET", "/readyz", "").refused(t, CodeNoSandbox)
	if want := "No sandbox of node is warm: no such image"; got.Error != want {
		t.Errorf("the reason is %q, want %q", got.Error, want)
	}

	failing.Store(false)
	ts.warm()
	eventually(t, "the server is ready", func() bool { return ts.do("GET", "/readyz", "").status == 200 })
	if r := ts.do("GET", "/readyz", ""); r.body != `{"ready":true}`+"\n" {
		t.Errorf("the answer is %q", r.body)
	}

	down.Store(true)
	eventually(t, "the server is not ready", func() bool { return ts.do("GET", "/readyz", "").status == 503 })
	got = ts.do("GET", "/readyz", "").refused(t, CodeEngineDown)
	if strings.Contains(got.Error, "refused") {
		t.Errorf("the answer shows a detail: %q", got.Error)
	}
}

func TestNoSandboxIsEngineDownWhenLaunchesFailForThat(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(context.Context, sandbox.Language) error { return sandbox.ErrEngine }
	ts := start(t, fake, Config{QueueTimeout: 50 * time.Millisecond})
	ts.run(`{"code":"1"}`).refused(t, CodeEngineDown)
}

func TestTheEngineIsAskedOnceASecondHoweverManyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var answer error
		e := newEngineCheck(func(ctx context.Context) error {
			asked++
			time.Sleep(100 * time.Millisecond)
			return answer
		})
		for range 5 {
			go func() { _ = e.ask(t.Context()) }()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if asked != 1 {
			t.Errorf("the engine was asked %d times", asked)
		}
		time.Sleep(time.Second)
		answer = errors.New("down")
		if err := e.ask(t.Context()); !errors.Is(err, answer) || asked != 2 {
			t.Errorf("got %v after %d questions", err, asked)
		}
	})
}

func TestAnEngineThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngineCheck(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		begin := time.Now()
		for range 3 {
			go func() { _ = e.ask(t.Context()) }()
		}
		if err := e.ask(t.Context()); err == nil || time.Since(begin) > engineAnswerTime {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// printing is a run that prints n bytes.
func printing(n int) func(context.Context, watcher) (runAnswer, error) {
	return func(_ context.Context, w watcher) (runAnswer, error) {
		w.started(0)
		return runAnswer{Stdout: strings.Repeat("x", n)}, nil
	}
}

// kept are those of n runs, named by their numbers, that are still known.
func kept(a *asyncRuns, n int) (ids []string) {
	for i := range n {
		if _, ok := a.get(caller{}, fmt.Sprint(i)); ok {
			ids = append(ids, fmt.Sprint(i))
		}
	}
	return ids
}

func TestRunsAreForgottenByTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsyncRuns(3, 1)
		for i := range 2 {
			if err := a.start(task{id: fmt.Sprint(i)}, printing(1)); err != nil {
				t.Fatal(err)
			}
			a.tasks.Wait()
			time.Sleep(time.Minute)
		}
		release := make(chan struct{})
		if err := a.start(task{id: "2"}, func(context.Context, watcher) (runAnswer, error) {
			<-release
			return runAnswer{}, nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			wait time.Duration
			want string
		}{
			{keptTime - 2*time.Minute, "[0 1 2]"}, {time.Nanosecond, "[1 2]"}, {time.Minute, "[2]"}, {time.Hour, "[2]"}, // which has not ended
		} {
			time.Sleep(tt.wait)
			if got := fmt.Sprint(kept(a, 3)); got != tt.want {
				t.Errorf("after %v more there are %s, want %s", tt.wait, got, tt.want)
			}
		}
		close(release)
		a.tasks.Wait()
		if a.bytes != 0 || len(a.byID) != 1 || a.active != 0 {
			t.Errorf("%d bytes of %d runs are kept, %d are active", a.bytes, len(a.byID), a.active)
		}
	})
}

func TestRunsAreForgottenByTheirNumber(t *testing.T) {
	a := newAsyncRuns(1, 1)
	for i := range keptRuns + 2 {
		if err := a.start(task{id: fmt.Sprint(i)}, printing(0)); err != nil {
			t.Fatal(err)
		}
		a.tasks.Wait()
	}
	if got := kept(a, keptRuns+2); len(got) != keptRuns || got[0] != "2" {
		t.Errorf("%d runs are kept, from %s on", len(got), got[0])
	}
}

func TestRunsAreForgottenByTheirBytes(t *testing.T) {
	const mib = 1 << 20
	for name, begin := range map[string]func(*asyncRuns, string) error{
		"the output counts": func(a *asyncRuns, id string) error { return a.start(task{id: id}, printing(16*mib)) },
		"the program counts": func(a *asyncRuns, id string) error {
			files := []requestFile{{Name: "f", raw: make([]byte, 16*mib)}}
			return a.start(task{id: id, request: request{Files: files}}, printing(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAsyncRuns(1, 1)
			for i := range 6 {
				if err := begin(a, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
				a.tasks.Wait()
			}
			if got := kept(a, 6); len(got) < 3 || len(got) > 4 || a.bytes > keptBytes {
				t.Errorf("%d bytes of %s are kept", a.bytes, got)
			}
			for i := range 6 {
				a.delete(caller{}, fmt.Sprint(i))
			}
			if a.bytes != 0 || len(a.endings) != 0 {
				t.Errorf("%d bytes of %d runs are kept after all were deleted", a.bytes, len(a.endings))
			}
		})
	}
}

func TestARunIsItsCallersOwn(t *testing.T) {
	a := newAsyncRuns(1, 1)
	mine, other := caller{&keys.Key{Name: "mine"}}, caller{&keys.Key{Name: "other"}}
	if err := a.start(task{id: "0", caller: mine}, printing(1)); err != nil {
		t.Fatal(err)
	}
	a.tasks.Wait()
	for _, who := range []caller{other, {}} {
		if _, ok := a.get(who, "0"); ok || a.delete(who, "0") {
			t.Errorf("%q may use the run of another", who.name())
		}
	}
	if got, ok := a.get(mine, "0"); !ok || got.State != finished || !a.delete(mine, "0") {
		t.Errorf("the run is %+v", got)
	}
}

func TestRunsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsyncRuns(3, 1)
		for i := range 3 {
			if err := a.start(task{id: fmt.Sprint(i)}, func(_ context.Context, w watcher) (runAnswer, error) {
				w.started(0)
				time.Sleep(time.Second)
				return runAnswer{}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.start(task{id: "3"}, printing(0)); asError(err).Code != CodeQueueFull {
			t.Errorf("a fourth run: %v", err)
		}
		if _, ok := a.get(caller{}, "3"); ok {
			t.Error("the run that was refused is known")
		}
		for passed := range 4 {
			synctest.Wait()
			states := map[runState]int{}
			for i := range 3 {
				got, _ := a.get(caller{}, fmt.Sprint(i))
				states[got.State]++
			}
			if states[finished] != passed || states[running] != min(1, 3-passed) {
				t.Errorf("after %d s the states are %v", passed, states)
			}
			time.Sleep(time.Second)
		}
		a.tasks.Wait()
	})
}

// full is a pool that turns the first requests away.
type full struct {
	stub
	refusals int
	err      error
	tried    int
}

func (f *full) Acquire(ctx context.Context, language string) (lease, error) {
	if f.tried++; f.tried <= f.refusals {
		return nil, f.err
	}
	return f.stub.Acquire(ctx, language)
}

func TestAFullPoolIsWaitedOut(t *testing.T) {
	const rest = 2500 * time.Millisecond // the stub's RetryAfter
	for name, tt := range map[string]struct {
		pool   *full
		end    func(s *Server, cancel context.CancelFunc) // after ten seconds
		code   Code                                       // empty: the program ran
		atMost time.Duration
	}{
		"the queue is full for a while": {&full{refusals: 3, err: pool.ErrQueueFull}, nil, "", 3 * rest},
		"there is no sandbox at first":  {&full{refusals: 1, err: pool.ErrNoSandbox}, nil, "", rest},
		"the queue stays full":          {&full{refusals: 1e6, err: pool.ErrQueueFull}, nil, CodeQueueFull, asyncPatience + 2*rest},
		"the engine fails":              {&full{refusals: 1, err: sandbox.ErrEngine}, nil, CodeEngineDown, 0},
		"it is deleted": {&full{refusals: 1e6, err: pool.ErrQueueFull}, func(_ *Server, cancel context.CancelFunc) { cancel() },
			CodeQueueFull, 10 * time.Second},
		"the server ends": {&full{refusals: 1e6, err: pool.ErrQueueFull}, func(s *Server, _ context.CancelFunc) { s.end(errDraining) },
			CodeDraining, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := newServer(Config{}, tt.pool)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.end != nil {
					timer := time.AfterFunc(10*time.Second, func() { tt.end(s, cancel) })
					defer timer.Stop()
				}
				begin := time.Now()
				_, err = s.executePatiently(ctx, task{arrived: begin, language: sandbox.Language{Name: "python"}}, nil, asyncPatience)
				if took := time.Since(begin); took > tt.atMost || took < tt.atMost-2*rest {
					t.Errorf("it took %v, want %v", took, tt.atMost)
				}
				var code Code
				if err != nil {
					code = asError(err).Code
				}
				if code != tt.code {
					t.Errorf("got the error %v, want %q", err, tt.code)
				}
				s.end(nil)
			})
		})
	}
}

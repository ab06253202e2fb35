package pool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

var errBroken = errors.New("broken")

func TestFailedLaunchesBackOffAndRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		var mu sync.Mutex
		var attempts []time.Time
		var fixed atomic.Bool
		fake.OnLaunch = func(_ context.Context, lang sandbox.Language) error {
			if lang.Name == "node" || fixed.Load() {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, time.Now())
			return errBroken
		}
		p := start(t, fake, pool.Config{Languages: members(2, 2), Launches: 1})
		time.Sleep(3 * time.Minute)
		synctest.Wait()

		stats := p.Stats().Languages
		if stats[1].Warm != 2 {
			t.Errorf("the failures of one language held up another: %+v", stats[1])
		}
		if !errors.Is(stats[0].LaunchError, errBroken) || int(stats[0].LaunchFailures) != len(attempts) || p.Ready() {
			t.Errorf("after %d failures the pool has %+v", len(attempts), stats[0])
		}
		least, most := 100*time.Millisecond, 200*time.Millisecond
		for i := 1; i < len(attempts); i++ {
			if gap := attempts[i].Sub(attempts[i-1]); gap < least || gap > most {
				t.Errorf("attempt %d came after %v, want %v to %v", i+1, gap, least, most)
			}
			least, most = min(2*least, 15*time.Second), min(2*most, 30*time.Second)
		}
		if len(attempts) < 12 {
			t.Errorf("only %d attempts in three minutes", len(attempts))
		}

		fixed.Store(true)
		settle()
		stats = p.Stats().Languages
		if stats[0].Warm != 2 || stats[0].LaunchError != nil || !p.Ready() {
			t.Errorf("after the repair the pool has %+v", stats[0])
		}
	})
}

func TestAFailureIsToldInFullOnceHoweverOftenItIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		var reason atomic.Value // why launches fail; "" lets them succeed
		var launches atomic.Int32
		fake.OnLaunch = func(context.Context, sandbox.Language) error {
			if why := reason.Load().(string); why != "" {
				return fmt.Errorf("start a container: /run/task/%064x/log.json: %s", launches.Add(1), why)
			}
			return nil
		}
		reason.Store("no cage")
		var log bytes.Buffer // read when the bubble is idle
		p := start(t, fake, pool.Config{Languages: members(3), Launches: 3, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i, step := range []struct {
			reason string
			told   map[string]int // how often by then
		}{
			{"no cage", map[string]int{"no cage": 1, "as before": -1}},
			{"no memory", map[string]int{"no cage": 1, "no memory": 1, "as before": -2, "succeed again": 0}},
			{"", map[string]int{"no memory": 1, "as before": -2, "succeed again": 1}},
			{"no memory", map[string]int{"no memory": 2, "as before": -3, "succeed again": 1}},
		} {
			reason.Store(step.reason)
			if i == 3 {
				acquire(t, p, "python").Close()
			}
			settle()
			if l := p.Stats().Languages[0]; (l.LaunchError != nil) != (step.reason != "") {
				t.Errorf("step %d: the latest error is %v", i, l.LaunchError)
			}
			for text, want := range step.told {
				if want < 0 { // every launch but these
					want += int(launches.Load())
				}
				if got := strings.Count(log.String(), text); got != want {
					t.Errorf("step %d: %q is told %d times, want %d:\n%s", i, text, got, want, log.String())
				}
			}
		}
		if launches.Load() < 10 {
			t.Errorf("only %d launches", launches.Load())
		}
	})
}

func TestALaunchThatHangsIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		fake.OnLaunch = func(ctx context.Context, _ sandbox.Language) error {
			<-ctx.Done()
			return ctx.Err()
		}
		p := start(t, fake, pool.Config{Languages: members(1)})
		time.Sleep(sandbox.DefaultLimits().Warmup)
		synctest.Wait()
		if stats := p.Stats().Languages[0]; stats.LaunchFailures != 1 || !errors.Is(stats.LaunchError, context.DeadlineExceeded) {
			t.Errorf("the pool has %+v", stats)
		}
	})
}

func TestLaunchesAndLivingSandboxesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		fake.OnDestroy = slowly
		p := start(t, fake, pool.Config{Languages: members(3, 2, 0), Launches: 3, MaxLive: 8, Queue: 50})
		var clients sync.WaitGroup
		for i := range 90 {
			clients.Go(func() {
				lease := acquire(t, p, []string{"python", "node", "ruby"}[i%3])
				time.Sleep(time.Duration(i) * time.Millisecond)
				lease.Close()
			})
		}
		clients.Wait()
		if c := fake.Count(); c.PeakLaunching != 3 || c.PeakLive != 8 {
			t.Errorf("at most %d launches at once and %d sandboxes, want 3 and 8", c.PeakLaunching, c.PeakLive)
		}
	})
}

func TestFailedDestructionsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		var attempts atomic.Int64
		fake.OnDestroy = func(context.Context, string) error {
			if attempts.Add(1) < 4 {
				return errBroken
			}
			return nil
		}
		p := start(t, fake, pool.Config{Languages: members(0)})
		acquire(t, p, "python").Close()
		synctest.Wait()
		if stats := p.Stats().Languages[0]; stats.Destroying != 1 || stats.DestroyFailures != 1 {
			t.Errorf("after one failure the pool has %+v", stats)
		}
		settle()
		if stats := p.Stats().Languages[0]; stats.Destroying != 0 || stats.DestroyFailures != 3 || stats.Destroyed != 1 || fake.Live() != 0 {
			t.Errorf("after three failures the pool has %+v", stats)
		}
	})
}

func TestADestructionThatHangsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		var attempts atomic.Int64
		fake.OnDestroy = func(ctx context.Context, _ string) error {
			if attempts.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		p := start(t, fake, pool.Config{Languages: members(0), DestroyTimeout: time.Second})
		acquire(t, p, "python").Close()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if fake.Live() != 0 || attempts.Load() != 2 {
			t.Errorf("after %d attempts %d sandboxes live", attempts.Load(), fake.Live())
		}
	})
}

func TestCloseWaitsForLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(2)})
		settle()
		lease := acquire(t, p, "python")
		begin := time.Now()
		var closing sync.WaitGroup
		for range 2 { // two at once, for it may be called again
			closing.Go(func() {
				if err := p.Close(t.Context()); err != nil || time.Since(begin) != time.Second {
					t.Errorf("Close returned %v after %v", err, time.Since(begin))
				}
			})
		}
		synctest.Wait()
		if _, err := p.Acquire(t.Context(), "python"); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("Acquire returned %v, want ErrClosed", err)
		}
		if fake.Live() != 1 || p.Ready() {
			t.Errorf("%d sandboxes live beside the lease", fake.Live()-1)
		}
		time.Sleep(time.Second)
		if _, err := lease.Run(t.Context(), program(""), &sandbox.Capture{}); err != nil {
			t.Errorf("a lease of a closing pool: %v", err)
		}
		lease.Close()
		closing.Wait()
		if fake.Live() != 0 {
			t.Errorf("%d sandboxes live after Close", fake.Live())
		}
	})
}

func TestCloseDestroysLeasedSandboxesWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(1)})
		settle()
		lease := acquire(t, p, "python")
		var running sync.WaitGroup
		running.Go(func() {
			if _, err := lease.Run(t.Context(), program("#!fake\nspin"), &sandbox.Capture{}); err == nil {
				t.Error("the run ended as if nothing had happened")
			}
			lease.Close()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if err := p.Close(ctx); err != nil || time.Since(begin) != time.Second || fake.Live() != 0 {
			t.Errorf("Close returned %v after %v and left %d", err, time.Since(begin), fake.Live())
		}
		running.Wait()
	})
}

func TestCloseEndsWaitingRequestsAndLaunches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(2, 1)})
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				if _, err := p.Acquire(t.Context(), "python"); !errors.Is(err, pool.ErrClosed) {
					t.Errorf("Acquire returned %v, want ErrClosed", err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		if err := p.Close(t.Context()); err != nil || time.Since(begin) != 0 || fake.Live() != 0 {
			t.Errorf("Close returned %v after %v and left %d", err, time.Since(begin), fake.Live())
		}
		clients.Wait()
		if stats := p.Stats().Languages[0]; stats.RefusedClosed != 3 || stats.LaunchFailures != 0 {
			t.Errorf("the closed pool has %+v", stats)
		}
	})
}

func TestCloseDestroysASandboxWhoseLaunchCouldNotBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		fake.OnLaunch = func(context.Context, sandbox.Language) error { time.Sleep(time.Second); return nil }
		p := start(t, fake, pool.Config{Languages: members(2), Launches: 2})
		synctest.Wait()
		if err := p.Close(t.Context()); err != nil || fake.Live() != 0 || fake.Count().Launched != 2 {
			t.Errorf("Close returned %v and left %d of %d", err, fake.Live(), fake.Count().Launched)
		}
	})
}

func TestCloseSaysWhatItCouldNotDestroy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &sandboxtest.Fake{OnDestroy: func(context.Context, string) error { return errBroken }}
		p, err := pool.New(fake, pool.Config{Languages: members(2)})
		if err != nil {
			t.Fatal(err)
		}
		settle()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err == nil {
			t.Error("Close returned nil")
		}
		if stats := p.Stats().Languages[0]; stats.DestroyFailures < 4 || stats.Destroyed != 0 || stats.Destroying != 0 {
			t.Errorf("the closed pool has %+v", stats)
		}
	})
}

func TestAPoolThatCannotWorkIsNotMade(t *testing.T) {
	if _, err := pool.New(sandboxtest.NewFake(t), pool.Config{}); err == nil {
		t.Error("New returned no error")
	}
}

func TestAPoolIsReadyOnceEveryLanguageHasBeenWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1, 1, 0), Launches: 1})
		for i, want := range []bool{false, false, true} {
			synctest.Wait()
			if p.Ready() != want {
				t.Errorf("after %d launches Ready is %t", i, p.Ready())
			}
			time.Sleep(launchTime)
		}
		acquire(t, p, "python").Close()
		if !p.Ready() {
			t.Error("a burst made the pool unready")
		}
		for _, language := range []string{"python", "cobol"} {
			if d := p.RetryAfter(language); d != time.Second {
				t.Errorf("RetryAfter of %s is %v", language, d)
			}
		}
	})
}

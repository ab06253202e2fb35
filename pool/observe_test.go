package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

func TestHitsAndWaitsAreCountedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1)})
		acquire(t, p, "python").Close() // waits for the first
		synctest.Wait()
		time.Sleep(time.Second)
		acquire(t, p, "python").Close()
		if s := p.Stats().Languages[0]; s.Hits != 1 || s.Waits != 1 {
			t.Errorf("there were %d hits and %d waits, want one each", s.Hits, s.Waits)
		}
	})
}

func TestSandboxesAreKnownUntilTheyAreDestroyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		var free atomic.Bool
		fake.OnDestroy = func(context.Context, string) error {
			if free.Load() {
				return nil
			}
			return errors.New("stuck")
		}
		p := start(t, fake, pool.Config{Languages: members(2)})
		time.Sleep(time.Second)
		known := func() []string { return slices.Sorted(slices.Values(p.Sandboxes())) }
		if want := slices.Sorted(slices.Values(fake.IDs())); len(want) != 2 || !slices.Equal(known(), want) {
			t.Errorf("the pool knows %q, want %q", known(), want)
		}
		lease := acquire(t, p, "python")
		if !slices.Contains(known(), lease.SandboxID()) {
			t.Error("the pool does not know one that is leased")
		}
		lease.Close()
		synctest.Wait()
		if !slices.Contains(known(), lease.SandboxID()) {
			t.Error("the pool does not know one that could not be destroyed")
		}
		free.Store(true)
		time.Sleep(time.Minute)
		if slices.Contains(known(), lease.SandboxID()) {
			t.Error("the pool knows one that is destroyed")
		}
		if want := slices.Sorted(slices.Values(fake.IDs())); !slices.Equal(known(), want) {
			t.Errorf("the pool knows %q, want %q", known(), want)
		}
	})
}

func TestHooksAreCalledOneAfterTheOther(t *testing.T) {
	var called []string
	named := func(name string) pool.Hooks {
		note := func(what string) { called = append(called, name+" "+what) }
		return pool.Hooks{
			Acquired:  func(string, time.Duration, error) { note("acquired") },
			Launched:  func(string, time.Duration, error) { note("launched") },
			Ran:       func(string, time.Duration, sandbox.Result, error) { note("ran") },
			Died:      func(string) { note("died") },
			Destroyed: func(string, time.Duration, error) { note("destroyed") },
		}
	}
	h := named("a").And(pool.Hooks{}).And(named("b"))
	err := errors.New("x")
	h.Acquired("python", 0, err)
	h.Launched("python", 0, err)
	h.Ran("python", 0, sandbox.Result{}, err)
	h.Died("python")
	h.Destroyed("python", 0, err)
	want := "a acquired, b acquired, a launched, b launched, a ran, b ran, a died, b died, a destroyed, b destroyed"
	if got := strings.Join(called, ", "); got != want {
		t.Errorf("called %s, want %s", got, want)
	}
}

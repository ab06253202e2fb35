package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const launchTime = 100 * time.Millisecond

// members takes sizes for python, node and so on.
func members(sizes ...int) []pool.Member {
	names := []string{"python", "node", "ruby"}
	var members []pool.Member
	for i, size := range sizes {
		members = append(members, pool.Member{Language: sandboxtest.FakeLanguage(names[i]), Size: size})
	}
	return members
}

// start returns a pool that the test's end closes, waiting for no lease.
func start(t *testing.T, fake *sandboxtest.Fake, cfg pool.Config) *pool.Pool {
	t.Helper()
	p, err := pool.New(fake, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		for _, l := range p.Stats().Languages {
			if l.Warm+l.Leased+l.Launching+l.Destroying+l.Waiting != 0 {
				t.Errorf("a closed pool still has %+v", l)
			}
		}
	})
	return p
}

// newFake returns a fake whose launches take launchTime.
func newFake(t *testing.T) *sandboxtest.Fake {
	fake := sandboxtest.NewFake(t)
	fake.LaunchDelay = launchTime
	return fake
}

// slowly is an OnDestroy that takes as long as a launch.
func slowly(context.Context, string) error {
	time.Sleep(launchTime)
	return nil
}

// settle lets the clock run until launches and destructions are over.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

func acquire(t *testing.T, p *pool.Pool, language string) *pool.Lease {
	t.Helper()
	lease, err := p.Acquire(t.Context(), language)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	return lease
}

func program(text string) sandbox.Program {
	return sandbox.Program{
		Files:   []sandbox.File{{Name: "main.txt", Content: []byte(text)}},
		Timeout: 10 * time.Second, OutputBytes: 1 << 10,
	}
}

func TestALeaseRunsOneProgramAndItsSandboxIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		fake.AllowReuse = true
		p := start(t, fake, pool.Config{Languages: members(1)})
		settle()
		lease := acquire(t, p, "python")
		var out sandbox.Capture
		result, err := lease.Run(t.Context(), program("hello"), &out)
		if stdout, _ := out.Strings(); err != nil || result.Status != sandbox.OK || stdout != "hello" {
			t.Errorf("Run returned %v and %v and printed %q", result, err, stdout)
		}
		if _, err := lease.Run(t.Context(), program("hello"), &out); !errors.Is(err, sandbox.ErrUsed) {
			t.Errorf("the second Run returned %v, want ErrUsed", err)
		}
		lease.Close()
		lease.Close()
		settle()
		next := acquire(t, p, "python")
		defer next.Close()
		if next.SandboxID() == lease.SandboxID() {
			t.Error("the sandbox was granted twice")
		}
	})
}

func TestAClosedLeaseRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1)})
		lease := acquire(t, p, "python")
		lease.Close()
		if _, err := lease.Run(t.Context(), program(""), &sandbox.Capture{}); !errors.Is(err, sandbox.ErrUsed) {
			t.Errorf("Run returned %v, want ErrUsed", err)
		}
	})
}

func TestTheOldestSandboxIsGrantedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(3), Launches: 1})
		settle()
		for _, want := range fake.IDs() {
			lease := acquire(t, p, "python")
			defer lease.Close()
			if lease.SandboxID() != want || lease.Waited() != 0 {
				t.Errorf("granted %s after %v, want %s at once", lease.SandboxID(), lease.Waited(), want)
			}
		}
	})
}

func TestWaitingRequestsAreServedFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1), Launches: 1})
		var mu sync.Mutex
		var order []int
		var clients sync.WaitGroup
		for i := range 10 {
			clients.Go(func() {
				lease := acquire(t, p, "python")
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				if want := time.Duration(i+1) * launchTime; lease.Waited() != want {
					t.Errorf("request %d waited %v, want %v", i, lease.Waited(), want)
				}
				lease.Close()
			})
			synctest.Wait()
		}
		clients.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}

func TestABurstIsServedOnceEachAndTheRestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(4), Queue: 16, Launches: 2, MaxLive: 8})
		settle()
		var mu sync.Mutex
		granted := make(map[string]bool)
		refused := 0
		var clients sync.WaitGroup
		for range 50 {
			clients.Go(func() {
				lease, err := p.Acquire(t.Context(), "python")
				if err != nil {
					if !errors.Is(err, pool.ErrQueueFull) {
						t.Errorf("Acquire: %v", err)
					}
					mu.Lock()
					refused++
					mu.Unlock()
					return
				}
				defer lease.Close()
				if _, err := lease.Run(t.Context(), program("hello"), &sandbox.Capture{}); err != nil {
					t.Errorf("Run: %v", err)
				}
				mu.Lock()
				granted[lease.SandboxID()] = true
				mu.Unlock()
			})
		}
		clients.Wait()
		if len(granted) != 4+16 || refused != 30 {
			t.Errorf("%d sandboxes were granted and %d requests refused, want 20 and 30", len(granted), refused)
		}
		settle()
		stats := p.Stats().Languages[0]
		if stats.Warm != 4 || stats.RefusedQueueFull != 30 || fake.Live() != 4 {
			t.Errorf("afterwards the pool has %+v", stats)
		}
	})
}

func TestARequestThatMayNotWaitIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1), Queue: pool.NoQueue})
		if _, err := p.Acquire(t.Context(), "python"); !errors.Is(err, pool.ErrQueueFull) {
			t.Errorf("Acquire returned %v, want ErrQueueFull", err)
		}
	})
}

func TestAnUnknownLanguageIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1, 1)})
		if _, err := p.Acquire(t.Context(), "cobol"); !errors.Is(err, pool.ErrUnknownLanguage) {
			t.Errorf("Acquire returned %v, want ErrUnknownLanguage", err)
		}
		if l := p.Languages(); len(l) != 2 || l[0].Name != "python" || l[1].Name != "node" {
			t.Errorf("the languages are %v", l)
		}
	})
}

func TestARequestThatGivesUpStopsNoLaunch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(0)})
		ctx, cancel := context.WithTimeout(t.Context(), launchTime/2)
		defer cancel()
		begin := time.Now()
		_, err := p.Acquire(ctx, "python")
		if !errors.Is(err, pool.ErrNoSandbox) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != launchTime/2 {
			t.Errorf("Acquire returned %v after %v", err, time.Since(begin))
		}
		if stats := p.Stats().Languages[0]; stats.Waiting != 0 || stats.Launching != 1 || stats.RefusedNoSandbox != 1 {
			t.Errorf("after it gave up the pool has %+v", stats)
		}
		settle()
		if stats := p.Stats().Languages[0]; stats.Warm != 1 {
			t.Errorf("the launch was lost: %+v", stats)
		}
	})
}

func TestARequestWhoseContextHasEndedGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(1)})
		settle()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Acquire(ctx, "python"); !errors.Is(err, pool.ErrNoSandbox) || !errors.Is(err, context.Canceled) {
			t.Errorf("Acquire returned %v", err)
		}
		if stats := p.Stats().Languages[0]; stats.Warm != 1 {
			t.Errorf("the pool has %+v", stats)
		}
	})
}

func TestASandboxThatDiesWhileIdleIsReplacedAndNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		fake.OnDestroy = slowly
		died := 0
		p := start(t, fake, pool.Config{Languages: members(2), Hooks: pool.Hooks{Died: func(string) { died++ }}})
		settle()
		victim := fake.IDs()[0]
		fake.Die(victim)
		synctest.Wait()
		if stats := p.Stats().Languages[0]; stats.Warm != 1 || stats.Launching != 1 || stats.Destroying != 1 {
			t.Errorf("right after a death the pool has %+v", stats)
		}
		settle()
		stats := p.Stats().Languages[0]
		if stats.Warm != 2 || stats.Died != 1 || died != 1 || slices.Contains(fake.IDs(), victim) {
			t.Errorf("after a death the pool has %+v, and %v live", stats, fake.IDs())
		}
	})
}

func TestASandboxThatDiesWhileLeasedIsTheLeasesMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(1)})
		settle()
		lease := acquire(t, p, "python")
		fake.Die(lease.SandboxID())
		synctest.Wait()
		if _, err := lease.Run(t.Context(), program(""), &sandbox.Capture{}); !errors.Is(err, sandbox.ErrDead) {
			t.Errorf("Run returned %v, want ErrDead", err)
		}
		if stats := p.Stats().Languages[0]; stats.Leased != 1 || stats.Died != 0 {
			t.Errorf("before the lease is closed the pool has %+v", stats)
		}
		lease.Close()
		settle()
		if stats := p.Stats().Languages[0]; stats.Warm != 1 || fake.Live() != 1 {
			t.Errorf("after the lease was closed the pool has %+v", stats)
		}
	})
}

func TestTheReplacementOfALease(t *testing.T) {
	tests := []struct {
		name  string
		held  time.Duration // how long the lease is held
		after time.Duration // when its replacement is launched
	}{
		{"is launched when a short lease is closed", 4 * time.Millisecond, 4 * time.Millisecond},
		{"is launched after the refill delay when the lease is long", 10 * time.Second, 50 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := newFake(t)
				fake.OnDestroy = slowly
				p := start(t, fake, pool.Config{Languages: members(2)})
				settle()
				lease := acquire(t, p, "python")
				timer := time.AfterFunc(tt.held, lease.Close)
				defer timer.Stop()
				time.Sleep(tt.after - time.Nanosecond)
				synctest.Wait()
				if n := p.Stats().Languages[0].Launching; n != 0 {
					t.Errorf("%d launches before it is due", n)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if n := p.Stats().Languages[0].Launching; n != 1 {
					t.Errorf("%d launches when it is due, want 1", n)
				}
			})
		})
	}
}

func TestALanguageThatIsHeldUpStarvesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(2, 2), MaxLive: 5, Launches: 1})
		settle()
		var clients sync.WaitGroup
		release := make(chan struct{})
		for range 20 {
			clients.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if lease, err := p.Acquire(ctx, "python"); err == nil {
					<-release
					lease.Close()
				}
			})
		}
		synctest.Wait()
		for range 5 {
			begin := time.Now()
			acquire(t, p, "node").Close()
			acquire(t, p, "node").Close()
			if took := time.Since(begin); took > 3*launchTime {
				t.Errorf("two sandboxes of the other language took %v", took)
			}
		}
		settle()
		close(release)
		clients.Wait()
		if peak := fake.Count().PeakLive; peak > 5 {
			t.Errorf("%d sandboxes lived at once, want at most 5", peak)
		}
	})
}

func TestHooksSeeWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		var mu sync.Mutex
		var seen []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf(format, args...))
		}
		p := start(t, fake, pool.Config{Languages: members(0), Hooks: pool.Hooks{
			Acquired: func(l string, wait time.Duration, err error) { note("acquired %s %v %v", l, wait, err) },
			Launched: func(l string, took time.Duration, err error) { note("launched %s %v %v", l, took, err) },
			Ran: func(l string, took time.Duration, r sandbox.Result, err error) {
				note("ran %s %s %s %v", l, took, r.Status, err)
			},
			Destroyed: func(l string, took time.Duration, err error) { note("destroyed %s %v %v", l, took, err) },
		}})
		lease := acquire(t, p, "python")
		time.Sleep(time.Second) // of the hand-over
		_, _ = lease.Run(t.Context(), program(""), &sandbox.Capture{})
		lease.Close()
		synctest.Wait()
		slices.Sort(seen[:2]) // these two are not ordered
		want := []string{"acquired python 100ms <nil>", "launched python 100ms <nil>", "ran python 1s ok <nil>", "destroyed python 0s <nil>"}
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q, want %q", seen, want)
		}
	})
}

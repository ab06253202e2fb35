package pool_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func resize(t *testing.T, p *pool.Pool, s pool.Sizing) {
	t.Helper()
	if err := p.Resize(s); err != nil {
		t.Fatalf("Resize(%+v): %v", s, err)
	}
}

// wantWarm settles the pool and looks at how many are warm of each language,
// and that no others live.
func wantWarm(t *testing.T, p *pool.Pool, fake *sandboxtest.Fake, want ...int) {
	t.Helper()
	settle()
	sum := 0
	for i, l := range p.Stats().Languages {
		sum += want[i]
		if l.Warm != want[i] || l.Leased != 0 {
			t.Errorf("%s has %d warm and %d leased, want %d warm", l.Language, l.Warm, l.Leased, want[i])
		}
	}
	if fake.Live() != sum {
		t.Errorf("%d live, want %d", fake.Live(), sum)
	}
}

func TestResizeLaunchesWhatIsMissingAndDestroysTheSurplus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(2, 0)})
		wantWarm(t, p, fake, 2, 0)
		resize(t, p, pool.Sizing{Sizes: map[string]int{"python": 4, "node": 1}})
		wantWarm(t, p, fake, 4, 1)
		if got := p.Stats(); got.MaxLive < 10 || got.Languages[0].Size != 4 {
			t.Errorf("the pool says %+v", got)
		}
		resize(t, p, pool.Sizing{Sizes: map[string]int{"python": 1}})
		wantWarm(t, p, fake, 1, 1)
		resize(t, p, pool.Sizing{Sizes: map[string]int{"node": 0}})
		wantWarm(t, p, fake, 1, 0)
		if c := fake.Count(); c.Launched != 5 {
			t.Errorf("%d launches, want 5", c.Launched)
		}
	})
}

func TestResizeDestroysLaunchesThatBecameTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(4), Launches: 3})
		time.Sleep(launchTime / 2)
		resize(t, p, pool.Sizing{Sizes: map[string]int{"python": 1}})
		wantWarm(t, p, fake, 1)
		if c := fake.Count(); c.Launched != 3 {
			t.Errorf("%d launches, want the 3 that were under way", c.Launched)
		}
	})
}

func TestAResizeThatCannotWorkChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		p := start(t, fake, pool.Config{Languages: members(2), MaxLive: 9, Queue: 7})
		for _, s := range []pool.Sizing{
			{Sizes: map[string]int{"python": -1}},
			{Sizes: map[string]int{"python": 1, "cobol": 1}},
			{Sizes: map[string]int{"python": 5}, MaxLive: 4},
			{Sizes: map[string]int{"python": 1}, Queue: -2},
		} {
			if p.Resize(s) == nil {
				t.Errorf("%+v is accepted", s)
			}
		}
		wantWarm(t, p, fake, 2)
		if got := p.Stats().MaxLive; got != 9 {
			t.Errorf("at most %d live, want 9", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Resize(pool.Sizing{}); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("a closed pool returns %v", err)
		}
	})
}

func TestASmallerQueueKeepsThoseWhoWaitAndRefusesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newFake(t), pool.Config{Languages: members(0), Launches: 1})
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				lease, err := p.Acquire(t.Context(), "python")
				if err != nil {
					t.Errorf("one who waited gets %v", err)
					return
				}
				lease.Close()
			})
		}
		synctest.Wait()
		resize(t, p, pool.Sizing{Queue: pool.NoQueue})
		if _, err := p.Acquire(t.Context(), "python"); !errors.Is(err, pool.ErrQueueFull) {
			t.Errorf("the next gets %v, want ErrQueueFull", err)
		}
		waiting.Wait()
	})
}

func TestNoRunIsLostWhileThePoolIsResized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t)
		fake.OnDestroy = slowly
		p := start(t, fake, pool.Config{Languages: members(4, 2), RefillDelay: time.Millisecond})
		var clients sync.WaitGroup
		var ran atomic.Int32
		const each = 60
		for i := range 8 {
			clients.Go(func() {
				for range each {
					lease, err := p.Acquire(t.Context(), []string{"python", "node"}[i%2])
					if err != nil {
						t.Errorf("a client gets %v", err)
						return
					}
					var out sandbox.Capture
					_, err = lease.Run(t.Context(), program("hello"), &out)
					if stdout, _ := out.Strings(); err == nil && stdout == "hello" {
						ran.Add(1)
					}
					time.Sleep(time.Duration(i) * time.Millisecond)
					lease.Close()
				}
			})
		}
		for i := range 10 {
			time.Sleep(3 * launchTime / 2)
			resize(t, p, pool.Sizing{Sizes: map[string]int{"python": []int{1, 6, 0}[i%3], "node": i % 4}, Queue: 8})
		}
		if ran.Load() == 8*each {
			t.Fatal("the clients were done before the pool was")
		}
		clients.Wait()
		if ran.Load() != 8*each {
			t.Errorf("%d of %d runs were answered", ran.Load(), 8*each)
		}
		resize(t, p, pool.Sizing{Sizes: map[string]int{"python": 2, "node": 1}})
		wantWarm(t, p, fake, 2, 1)
	})
}

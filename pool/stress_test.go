package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// Clients that come, run, give up and die at random, in real time.
func TestStress(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnLaunch = func(context.Context, sandbox.Language) error {
		if rand.IntN(20) == 0 {
			return errBroken
		}
		return nil
	}
	fake.OnDestroy = func(context.Context, string) error {
		if rand.IntN(20) == 0 {
			return errBroken
		}
		return nil
	}
	p, err := pool.New(fake, pool.Config{
		Languages: members(4, 2), MaxLive: 12, Launches: 3, Queue: 8,
		RefillDelay: time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(500 * time.Millisecond)
	var clients sync.WaitGroup
	for i := range 24 {
		clients.Go(func() {
			for time.Now().Before(end) {
				visit(t, p, fake, []string{"python", "node"}[i%2])
			}
		})
	}
	clients.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if c := fake.Count(); c.PeakLaunching > 3 || c.PeakLive > 12 || c.Launched < 100 {
		t.Errorf("the fake counted %+v", c)
	}
}

// visit is one client's request.
func visit(t *testing.T, p *pool.Pool, fake *sandboxtest.Fake, language string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(5000))*time.Microsecond)
	defer cancel()
	lease, err := p.Acquire(ctx, language)
	switch {
	case errors.Is(err, pool.ErrQueueFull), errors.Is(err, pool.ErrNoSandbox):
		time.Sleep(time.Millisecond)
		return
	case err != nil:
		t.Errorf("Acquire: %v", err)
		return
	}
	defer lease.Close()
	if ids := fake.IDs(); rand.IntN(10) == 0 {
		fake.Die(ids[rand.IntN(len(ids))])
	}
	_, err = lease.Run(ctx, program("hello"), &sandbox.Capture{})
	if err != nil && !errors.Is(err, sandbox.ErrDead) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
}

func BenchmarkAcquireAndClose(b *testing.B) {
	fake := &sandboxtest.Fake{}
	p, err := pool.New(fake, pool.Config{Languages: members(8), RefillDelay: time.Nanosecond})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		lease, err := p.Acquire(b.Context(), "python")
		if err != nil {
			b.Fatal(err)
		}
		lease.Close()
	}
	if err := p.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

package pool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// A request may give up at the very moment at which it is granted a sandbox.
func TestASandboxGrantedToARequestThatGivesUp(t *testing.T) {
	tests := []struct {
		name                 string
		queued, dies, closes bool // what else happens: another waits, the sandbox dies, the pool is closed
		want                 LanguageStats
	}{
		{name: "is warm again", want: LanguageStats{Warm: 1}},
		{name: "goes to the next", queued: true, want: LanguageStats{Leased: 1}},
		{name: "is destroyed if it died", dies: true},
		{name: "is destroyed if the pool was closed", closes: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := sandboxtest.NewFake(t)
				p, err := New(fake, Config{Languages: []Member{{Language: sandboxtest.FakeLanguage("python")}}, Launches: 1})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				m := p.members[0]
				_, w, _ := p.request(ctx, m)
				synctest.Wait()
				if tt.queued {
					m.waiters = append(m.waiters, make(waiter, 1))
				}
				if tt.dies {
					fake.Die(fake.IDs()[0])
				}
				var closing sync.WaitGroup
				if tt.closes {
					closing.Go(func() { _ = p.Close(t.Context()) })
				}
				cancel()
				synctest.Wait()
				if err := p.giveUp(ctx, m, w); !errors.Is(err, ErrNoSandbox) {
					t.Errorf("the request got %v", err)
				}
				synctest.Wait()
				got := p.Stats().Languages[0]
				if got.Warm != tt.want.Warm || got.Leased != tt.want.Leased || got.Destroying != 0 || fake.Live() != got.Warm+got.Leased {
					t.Errorf("the pool has %+v, and %d live", got, fake.Live())
				}
				closing.Wait()
				_ = p.Close(ctx)
			})
		})
	}
}

// The pool may be asked for a sandbox between its death and the moment at which
// its goroutine notices.
func TestADeadSandboxIsNotGrantedBeforeItsDeathIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		p, err := New(fake, Config{Languages: []Member{{Language: sandboxtest.FakeLanguage("python")}}})
		if err != nil {
			t.Fatal(err)
		}
		m := p.members[0]
		sb, err := fake.Launch(t.Context(), m.language)
		if err != nil {
			t.Fatal(err)
		}
		fake.Die(sb.ID())
		dead := &entry{Sandbox: sb, member: m, done: make(chan struct{})}

		p.mu.Lock()
		m.waiters = append(m.waiters, make(waiter, 1))
		m.offer(dead)
		m.waiters = nil
		p.mu.Unlock()
		if e, _, err := p.request(t.Context(), m); e != nil || err != nil || len(m.leased) != 0 {
			t.Errorf("a request got %v and %v, want a place in the queue", e, err)
		}
		for range 2 {
			if !p.withdraw(dead, true) || m.total.Died != 1 {
				t.Errorf("%d deaths were counted, want 1", m.total.Died)
			}
		}
		p.destroy(dead)
		_ = p.Close(t.Context())
	})
}

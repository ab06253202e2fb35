package httpapi

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestShutdownLetsRunsFinish(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	release := make(chan struct{})
	fake.OnRun = held(release)
	ts := startPool(t, fake, Config{}, pool.Config{Queue: 2, MaxLive: 5})
	ts.warm()

	const runs = 6 // four lease a sandbox and two wait for one
	replies := make([]reply, runs)
	var clients, shutdown sync.WaitGroup
	for i := range runs {
		clients.Go(func() { replies[i] = ts.run(`{"code":"1"}`) })
	}
	eventually(t, "all runs are under way", func() bool {
		l := ts.pool.Stats().Languages[0]
		return l.Leased == 4 && l.Waiting == 2
	})
	silent, err := net.Dial("tcp", strings.TrimPrefix(ts.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	shutdown.Go(func() {
		if err := ts.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	eventually(t, "the server drains", ts.draining.Load)
	begin := time.Now()
	close(release)
	clients.Wait()
	shutdown.Wait()
	if took := time.Since(begin); took > ts.cfg.ReadTimeout/2 {
		t.Errorf("the shutdown took %v: it waited for a client that sent nothing", took)
	}
	for i, r := range replies {
		if got := r.ran(t); got.Stdout != "done\n" {
			t.Errorf("run %d was answered %+v", i, got)
		}
	}
}

func TestShutdownCutsRunsOffWhenItsTimeIsUp(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = held(nil)
	ts := start(t, fake, Config{})
	var client sync.WaitGroup
	client.Go(func() { ts.run(`{"code":"1"}`).refused(t, CodeDraining) })
	eventually(t, "the run is under way", func() bool { return ts.pool.Stats().Languages[0].Leased == 1 })

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := ts.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown returned %v, want the context's error", err)
	}
	client.Wait()
}

func TestAServerThatIsToLeaveSaysSoAndStillRuns(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	if r := ts.do("GET", "/readyz", ""); r.status != 200 {
		t.Fatalf("/readyz is %d", r.status)
	}
	ts.Drain()
	ts.do("GET", "/readyz", "").refused(t, CodeDraining)
	ts.run(`{"code":"1"}`).ran(t)
}

func TestADrainingServerRefusesNewWork(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	ts.draining.Store(true) // as on a connection that is kept alive
	ts.run(`{"code":"1"}`).refused(t, CodeDraining)
	ts.do("GET", "/readyz", "").refused(t, CodeDraining)
	if r := ts.do("GET", "/healthz", ""); r.status != 200 {
		t.Errorf("/healthz is %d", r.status)
	}
}

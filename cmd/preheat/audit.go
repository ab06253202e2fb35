package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// auditPause is the least time between two audits: what is seen twice is older.
const auditPause = 30 * time.Second

// audit looks for sandboxes that the engine has and the pool does not know.
type audit struct {
	found func(context.Context) ([]string, error) // ids that the engine has
	known func() []string                         // ids that the pool knows
	tell  func(leaked int, err error)
	log   *slog.Logger

	strangers []string // those that the pool did not know last time
	leaked    []string // those that it did not know twice
}

// start audits at every tick, which must be more than a launch takes, until stop
// is called. It returns at once; stop waits.
func (a *audit) start(every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var task sync.WaitGroup
	task.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.once(ctx)
			}
		}
	})
	return func() { cancel(); task.Wait() }
}

// once audits. What is unknown for the first time may be on its way: launched and
// not yet the pool's, or destroyed meanwhile.
func (a *audit) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, auditPause)
	defer cancel()
	found, err := a.found(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) { // by stop
			a.tell(0, err)
		}
		return
	}
	known, before := a.known(), a.leaked
	strangers := without(found, func(id string) bool { return slices.Contains(known, id) })
	a.leaked = without(strangers, func(id string) bool { return !slices.Contains(a.strangers, id) })
	a.strangers = strangers
	a.tell(len(a.leaked), nil)
	if len(a.leaked) > 0 && !slices.Equal(a.leaked, before) {
		a.log.Warn("the engine has sandboxes of this instance that the pool does not know", "sandboxes", a.leaked)
	}
}

// without returns those of ids, sorted, that are not to be dropped.
func without(ids []string, drop func(string) bool) []string {
	return slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(ids), drop)))
}

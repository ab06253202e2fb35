package pool

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// member is a language in the pool.
type member struct {
	language sandbox.Language

	// All that follows is guarded by Pool.mu. As long as requests wait, no
	// living sandbox is warm.
	size      int
	warm      []*entry // oldest first
	leased    map[*entry]struct{}
	launching int
	leaving   int      // being destroyed
	waiters   []waiter // first come first
	turn      uint64   // of the latest launch
	failures  int      // launches that failed since one succeeded
	restUntil time.Time
	total     Totals
	launchErr error         // of the latest launch
	took      time.Duration // of the latest launch that succeeded
	pace      time.Duration // of launches lately, on average
}

// waiter is a request's place in the queue. Whoever takes it out of the queue,
// under the lock, sends the granted sandbox once, or closes it when the pool is
// closed; it holds one, so neither blocks.
type waiter chan *entry

// entry is a sandbox that became warm.
type entry struct {
	sandbox.Sandbox
	member *member
	warmAt time.Time
	done   chan struct{} // closed when it is given up, by whoever does: its lease, or who calls discard

	// Guarded by Pool.mu.
	grantedAt time.Time
	gone      bool // neither warm nor leased any more
}

// alive reports whether the sandbox may still be granted.
func (e *entry) alive() bool {
	select {
	case <-e.Dead():
		return false
	default:
		return true
	}
}

// offer hands the sandbox to the first who waits, or puts it among the warm
// ones; there its goroutine finds it if it has died. It needs the lock.
func (m *member) offer(e *entry) {
	if len(m.waiters) > 0 && e.alive() {
		w := m.waiters[0]
		m.waiters = slices.Delete(m.waiters, 0, 1)
		m.grant(e)
		w <- e
		return
	}
	i, _ := slices.BinarySearchFunc(m.warm, e, func(a, b *entry) int { return a.warmAt.Compare(b.warmAt) })
	m.warm = slices.Insert(m.warm, i, e)
}

// grant makes the sandbox a lease's. It needs the lock.
func (m *member) grant(e *entry) {
	e.grantedAt = time.Now()
	m.leased[e] = struct{}{}
}

// leave takes the sandbox from whoever has it, for its goroutine to destroy,
// and reports whether it was warm. It needs the lock.
func (m *member) leave(e *entry) (wasWarm bool) {
	if e.gone {
		return false
	}
	e.gone = true
	m.leaving++
	delete(m.leased, e)
	if i := slices.Index(m.warm, e); i >= 0 {
		m.warm = slices.Delete(m.warm, i, i+1)
		return true
	}
	return false
}

// discard gives up a sandbox that no lease has. It needs the lock.
func (m *member) discard(e *entry) {
	m.leave(e)
	close(e.done)
}

// demand sums the member up for plan, and says after what time it changes by
// itself: 0 for never. It needs the lock.
func (m *member) demand(now time.Time, refillDelay time.Duration) (demand, time.Duration) {
	d := demand{
		size: m.size, warm: len(m.warm), leased: len(m.leased), launching: m.launching, leaving: m.leaving,
		waiting: len(m.waiters), failing: m.failures > 0, turn: m.turn,
	}
	next := max(m.restUntil.Sub(now), 0)
	d.resting = next > 0
	for e := range m.leased {
		if due := e.grantedAt.Add(refillDelay).Sub(now); due > 0 {
			d.held++
			if next == 0 || due < next {
				next = due
			}
		}
	}
	return d, next
}

// Lease is the grant of one sandbox for one run.
type Lease struct {
	pool   *Pool
	entry  *entry
	begun  time.Time // when Acquire returned it
	waited time.Duration
	closed atomic.Bool
}

// Run runs the program, as Sandbox.Run does. On a closed lease, and the second
// time, it returns sandbox.ErrUsed; sandbox.ErrDead means that another lease
// may be tried.
func (l *Lease) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	if l.closed.Load() {
		return sandbox.Result{}, sandbox.ErrUsed
	}
	result, err := l.entry.Run(ctx, p, out)
	l.pool.cfg.Hooks.Ran(l.entry.member.language.Name, time.Since(l.begun), result, err)
	return result, err
}

// Waited returns how long Acquire took.
func (l *Lease) Waited() time.Duration { return l.waited }

// SandboxID names the sandbox in logs.
func (l *Lease) SandboxID() string { return l.entry.ID() }

// Close gives the sandbox up to be destroyed, and does not wait for that. It
// may be called again.
func (l *Lease) Close() {
	if l.closed.Swap(true) {
		return
	}
	l.pool.mu.Lock()
	l.entry.member.leave(l.entry)
	l.pool.mu.Unlock()
	close(l.entry.done)
	l.pool.changed()
}

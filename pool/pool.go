// Package pool keeps sandboxes warm and grants each to one request.
//
// Make a [Pool] with [New], take a [Lease] with [Pool.Acquire], run one program
// in it and close it. A lease is single-use: closing it destroys the sandbox,
// and there is no way to give one back. [Pool.Resize] changes the sizes meanwhile.
//
// Rules. Requests for a language are served first come, first served, with the
// oldest warm sandbox. A request that gives up never stops a launch. A sandbox
// that ends while it is warm is replaced and not granted. Every sandbox belongs
// to one goroutine, from its launch until its destruction, and Close waits for
// all of them.
//
// How it fails: Acquire returns one of the package's errors; those of a launch
// or a destruction are logged, counted and retried with backoff, and the latest
// of each language is in [Stats]. What Lease.Run returns is the driver's.
package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/preheat/preheat/sandbox"
)

var (
	// ErrUnknownLanguage is returned for a language that the pool does not
	// have.
	ErrUnknownLanguage = errors.New("pool: unknown language")

	// ErrQueueFull is returned when no sandbox is warm and as many requests
	// wait as may.
	ErrQueueFull = errors.New("pool: the queue is full")

	// ErrNoSandbox is returned when the context ended before a sandbox was
	// warm. It comes with the context's error.
	ErrNoSandbox = errors.New("pool: no sandbox in time")

	// ErrClosed is returned once Close has been called.
	ErrClosed = errors.New("pool: closed")
)

// Pool is a set of warm sandboxes per language. It is safe for concurrent use.
type Pool struct {
	driver sandbox.Driver
	cfg    Config
	byName map[string]*member

	open       context.Context // ends when Close is called, and with it every launch
	shut       context.CancelFunc
	patient    context.Context // ends when Close waits no longer for leases and retries
	lose       context.CancelFunc
	goroutines sync.WaitGroup // refill, and tend for every sandbox
	wake       chan struct{}  // tells refill that something changed; holds one

	// mu guards what follows, and the fields of members and entries that say
	// so. The driver, the hooks and the logger are never called while it is
	// held, nor does anything else that may block happen.
	mu      sync.Mutex
	closed  bool
	maxLive int                 // as Config.MaxLive
	queue   int                 // as Config.Queue
	turns   uint64              // launches started
	resized uint64              // turns at the latest Resize: launches from before may be too many
	members []*member           // in the configured order; the slice itself never changes
	left    int                 // sandboxes that Close gave up on
	known   map[string]struct{} // ids of the sandboxes that exist
}

// New returns a pool that begins to launch at once. The driver stays the
// caller's, to close after the pool.
func New(driver sandbox.Driver, cfg Config) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	p := &Pool{
		driver: driver,
		cfg:    cfg.withDefaults(),
		byName: make(map[string]*member),
		wake:   make(chan struct{}, 1),
		known:  make(map[string]struct{}),
	}
	p.maxLive, p.queue = p.cfg.MaxLive, p.cfg.Queue
	p.open, p.shut = context.WithCancel(context.Background())
	p.patient, p.lose = context.WithCancel(context.Background())
	for _, m := range cfg.Languages {
		added := &member{language: m.Language, size: m.Size, leased: make(map[*entry]struct{})}
		p.members = append(p.members, added)
		p.byName[m.Language.Name] = added
	}
	p.goroutines.Go(p.refill)
	return p, nil
}

// Languages returns the languages in the configured order.
func (p *Pool) Languages() []sandbox.Language {
	languages := make([]sandbox.Language, len(p.members))
	for i, m := range p.members {
		languages[i] = m.language
	}
	return languages
}

// Acquire grants the oldest warm sandbox of the language, which is a canonical
// name, or waits its turn for one until ctx ends. Its errors are
// ErrUnknownLanguage, ErrQueueFull, ErrNoSandbox and ErrClosed. The caller must
// close the lease.
func (p *Pool) Acquire(ctx context.Context, language string) (*Lease, error) {
	m, ok := p.byName[language]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownLanguage, language)
	}
	start := time.Now()
	e, err := p.acquire(ctx, m)
	waited := time.Since(start)
	p.cfg.Hooks.Acquired(language, waited, err)
	if err != nil {
		return nil, err
	}
	return &Lease{pool: p, entry: e, begun: start.Add(waited), waited: waited}, nil
}

func (p *Pool) acquire(ctx context.Context, m *member) (*entry, error) {
	e, granted, err := p.request(ctx, m)
	if e != nil || err != nil {
		return e, err
	}
	select {
	case e := <-granted:
		if e == nil {
			return nil, ErrClosed
		}
		p.mu.Lock()
		m.total.Waits++
		p.mu.Unlock()
		return e, nil
	case <-ctx.Done():
		return nil, p.giveUp(ctx, m, granted)
	}
}

// request returns a warm sandbox if there is one, else a place in the queue.
func (p *Pool) request(ctx context.Context, m *member) (*entry, waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed()
	if p.closed {
		m.total.RefusedClosed++
		return nil, nil, ErrClosed
	}
	if ctx.Err() != nil {
		m.total.RefusedNoSandbox++
		return nil, nil, noSandbox(ctx)
	}
	if i := slices.IndexFunc(m.warm, (*entry).alive); i >= 0 {
		e := m.warm[i]
		m.warm = slices.Delete(m.warm, i, i+1)
		m.grant(e)
		m.total.Hits++
		return e, nil, nil
	}
	if !mayQueue(len(m.waiters), p.queue) {
		m.total.RefusedQueueFull++
		return nil, nil, ErrQueueFull
	}
	w := make(waiter, 1)
	m.waiters = append(m.waiters, w)
	return nil, w, nil
}

// giveUp leaves the queue. A sandbox that was granted at the same moment goes
// to the next in line: it has seen no program.
func (p *Pool) giveUp(ctx context.Context, m *member, w waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.changed()
	if i := slices.Index(m.waiters, w); i >= 0 {
		m.waiters = slices.Delete(m.waiters, i, i+1)
	} else if e := <-w; e != nil {
		if p.closed || !e.alive() {
			m.discard(e)
		} else {
			delete(m.leased, e)
			m.offer(e)
		}
	}
	m.total.RefusedNoSandbox++
	return noSandbox(ctx)
}

func noSandbox(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrNoSandbox, ctx.Err())
}

// changed wakes refill. It never blocks, so the lock may be held.
func (p *Pool) changed() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// refill starts the launches that are due, until the pool is closed.
func (p *Pool) refill() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if next := p.launchDue(); next > 0 {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
		select {
		case <-p.open.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// launchDue starts the launches that are due and returns when more may be,
// though nothing happens: 0 for never.
func (p *Pool) launchDue() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0
	}
	now := time.Now()
	var next time.Duration
	demands := make([]demand, len(p.members))
	for i, m := range p.members {
		d, due := m.demand(now, p.cfg.RefillDelay)
		demands[i] = d
		if due > 0 && (next == 0 || due < next) {
			next = due
		}
	}
	for _, i := range plan(demands, p.maxLive, p.cfg.Launches) {
		m := p.members[i]
		p.turns++
		m.turn = p.turns
		m.launching++
		turn := p.turns
		p.goroutines.Go(func() { p.tend(m, turn) })
	}
	return next
}

// Close ends the pool. It refuses requests, those that wait too, ends launches
// and destroys warm sandboxes at once; waits for leases until ctx ends and then
// destroys their sandboxes under them; and returns when every sandbox is gone
// and every goroutine has ended. Until ctx ends, failed destructions are tried
// again; Close says how many sandboxes it had to leave. It may be called again.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, m := range p.members {
		m.total.RefusedClosed += uint64(len(m.waiters))
		for _, w := range m.waiters {
			close(w)
		}
		m.waiters = nil
	}
	p.mu.Unlock()
	p.shut()
	stop := context.AfterFunc(ctx, p.lose)
	p.goroutines.Wait()
	stop()
	p.lose()

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		return fmt.Errorf("pool: %d sandboxes could not be destroyed", p.left)
	}
	return nil
}

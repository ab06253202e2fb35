package pool

import (
	"context"
	"math/rand/v2"
	"time"
)

// tend is the life of one sandbox: it is launched, is warm, is perhaps leased,
// and is destroyed. Its launch has been counted, as the turn-th.
func (p *Pool) tend(m *member, turn uint64) {
	defer p.changed()
	e := p.launch(m, turn)
	if e == nil {
		return
	}
	p.awaitEnd(e)
	p.destroy(e)
}

// launch makes a sandbox and offers it, unless the language became smaller
// meanwhile. It returns nil when there is none.
func (p *Pool) launch(m *member, turn uint64) *entry {
	ctx := p.open
	if m.language.Limits.Warmup > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.language.Limits.Warmup)
		defer cancel()
	}
	start := time.Now()
	sb, err := p.driver.Launch(ctx, m.language)
	took := time.Since(start)
	if err != nil {
		p.launchFailed(m, took, err)
		return nil
	}

	e := &entry{Sandbox: sb, member: m, warmAt: time.Now(), done: make(chan struct{})}
	p.mu.Lock()
	d, _ := m.demand(e.warmAt, p.cfg.RefillDelay)
	m.launching--
	p.known[e.ID()] = struct{}{}
	failures := m.failures
	m.failures, m.restUntil, m.launchErr, m.took = 0, time.Time{}, nil, took
	m.pace = average(m.pace, took)
	m.total.Launched++
	if turn <= p.resized && d.surplus() > 0 {
		m.discard(e)
	} else {
		m.offer(e)
	}
	p.mu.Unlock()
	p.changed()
	p.cfg.Hooks.Launched(m.language.Name, took, nil)
	if failures > 0 {
		p.cfg.Logger.Info("launches succeed again", "language", m.language.Name, "failures", failures)
	}
	return e
}

// launchFailed makes the language rest before its next launch, unless the
// failure is the pool's end. An error is told once, not with every repetition:
// it may hold all that a runtime said.
func (p *Pool) launchFailed(m *member, took time.Duration, err error) {
	p.mu.Lock()
	m.launching--
	if p.closed {
		p.mu.Unlock()
		return
	}
	m.failures++
	m.total.LaunchFailures++
	last := m.launchErr
	m.launchErr = err
	rest := backoff(m.failures, p.cfg.BackoffMin, p.cfg.BackoffMax, rand.Float64())
	m.restUntil = time.Now().Add(rest)
	failures := m.failures
	p.mu.Unlock()
	p.cfg.Hooks.Launched(m.language.Name, took, err)
	log := p.cfg.Logger.With("language", m.language.Name, "failures", failures, "retry_in", rest)
	if last != nil && alike(last, err) {
		log.Warn("launch failed again, as before")
	} else {
		log.Warn("launch failed", "error", err)
	}
}

// awaitEnd returns when the sandbox is to be destroyed: it has died while warm,
// its lease is closed, or the pool is closed and no lease holds it.
func (p *Pool) awaitEnd(e *entry) {
	died := false
	select {
	case <-e.done:
		return
	case <-e.Dead():
		died = true
	case <-p.open.Done():
	}
	if p.withdraw(e, died) {
		return
	}
	select {
	case <-e.done:
	case <-p.patient.Done():
		p.mu.Lock()
		e.member.leave(e)
		p.mu.Unlock()
	}
}

// withdraw keeps a sandbox from being granted. It returns false when a lease
// has it.
func (p *Pool) withdraw(e *entry, died bool) bool {
	p.mu.Lock()
	if _, leased := e.member.leased[e]; leased {
		p.mu.Unlock()
		return false
	}
	died = e.member.leave(e) && died
	if died {
		e.member.total.Died++
	}
	p.mu.Unlock()
	p.changed()
	if died {
		p.cfg.Hooks.Died(e.member.language.Name)
		p.cfg.Logger.Warn("sandbox ended while idle", "language", e.member.language.Name, "sandbox", e.ID())
	}
	return true
}

// destroy destroys the sandbox, and tries until it is gone or Close waits no
// longer.
func (p *Pool) destroy(e *entry) {
	m := e.member
	destroyed := p.tryDestroy(e)
	for n := 1; !destroyed && p.rest(n); n++ {
		destroyed = p.tryDestroy(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m.leaving--
	if destroyed {
		m.total.Destroyed++
		delete(p.known, e.ID())
	} else {
		p.left++
	}
}

func (p *Pool) tryDestroy(e *entry) bool {
	m := e.member
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.open), p.cfg.DestroyTimeout)
	defer cancel()
	start := time.Now()
	err := e.Destroy(ctx)
	p.cfg.Hooks.Destroyed(m.language.Name, time.Since(start), err)
	if err == nil {
		return true
	}
	p.mu.Lock()
	m.total.DestroyFailures++
	p.mu.Unlock()
	p.cfg.Logger.Warn("destroy failed", "language", m.language.Name, "sandbox", e.ID(), "error", err)
	return false
}

// rest waits after the nth failed destruction. It returns false when Close
// waits no longer.
func (p *Pool) rest(n int) bool {
	timer := time.NewTimer(backoff(n, p.cfg.BackoffMin, p.cfg.BackoffMax, rand.Float64()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.patient.Done():
		return false
	}
}

package pool

import (
	"maps"
	"slices"
	"time"
)

// Stats is a snapshot of a pool.
type Stats struct {
	Languages []LanguageStats // in the configured order
	MaxLive   int             // sandboxes that may exist at once
}

// LanguageStats is what the pool has of one language.
type LanguageStats struct {
	Language string
	Size     int // warm sandboxes that the pool aims for

	// Sandboxes, by what they are doing.
	Warm, Leased, Launching, Destroying int

	Waiting int // requests in the queue

	// LaunchError is that of the latest launch, nil if it succeeded.
	LaunchError error

	// LaunchTook is how long the latest successful launch took.
	LaunchTook time.Duration

	Totals
}

// Totals count what happened since the pool was made.
type Totals struct {
	Hits             uint64 // requests that found a warm sandbox
	Waits            uint64 // requests that waited for theirs
	Launched         uint64 // sandboxes that became warm
	LaunchFailures   uint64
	RefusedQueueFull uint64 // requests that got ErrQueueFull
	RefusedNoSandbox uint64 // requests that got ErrNoSandbox
	RefusedClosed    uint64 // requests that got ErrClosed
	Died             uint64 // sandboxes that ended while warm
	Destroyed        uint64
	DestroyFailures  uint64 // attempts
}

// Stats returns a snapshot. All its figures are of the same moment.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{MaxLive: p.maxLive, Languages: make([]LanguageStats, len(p.members))}
	for i, m := range p.members {
		s.Languages[i] = LanguageStats{
			Language: m.language.Name, Size: m.size,
			Warm: len(m.warm), Leased: len(m.leased), Launching: m.launching, Destroying: m.leaving,
			Waiting: len(m.waiters), LaunchError: m.launchErr, LaunchTook: m.took, Totals: m.total,
		}
	}
	return s
}

// Sandboxes returns the ids of the sandboxes that were launched and are not
// destroyed, in no order.
func (p *Pool) Sandboxes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.known))
}

// Ready reports whether the pool is open and can serve every language that it
// keeps warm: a sandbox of it is warm or leased, or the latest launch succeeded,
// so that a burst which empties the pool does not make it unready.
func (p *Pool) Ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		serving := len(m.warm)+len(m.leased) > 0 || m.total.Launched > 0 && m.launchErr == nil
		if m.size > 0 && !serving {
			return false
		}
	}
	return !p.closed
}

// RetryAfter is when a request that was turned away should come again, in whole
// seconds from 1 to 60. It goes by the queue and by how long launches take.
func (p *Pool) RetryAfter(language string) time.Duration {
	m, ok := p.byName[language]
	if !ok {
		return time.Second
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return retryAfter(len(m.waiters), p.cfg.Launches, m.pace, max(time.Until(m.restUntil), 0))
}

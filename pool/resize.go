package pool

import (
	"fmt"
	"slices"
	"time"
)

// Sizing is what Resize changes. As in Config, zero is the default of MaxLive
// and Queue.
type Sizing struct {
	Sizes   map[string]int // warm sandboxes per language; one not named keeps its size
	MaxLive int
	Queue   int
}

// Resize changes what the pool keeps: it launches what is missing, and destroys
// those warm sandboxes, and those being launched, that are now too many. Leases
// and requests that wait are left alone, also where a smaller queue would not
// take them now. With an error, ErrClosed or what of s cannot work, nothing has
// changed.
func (p *Pool) Resize(s Sizing) error {
	for name := range s.Sizes {
		if p.byName[name] == nil {
			return fmt.Errorf("%w: %q", ErrUnknownLanguage, name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	cfg := p.cfg
	cfg.MaxLive, cfg.Queue = s.MaxLive, s.Queue
	cfg.Languages = slices.Clone(cfg.Languages)
	for i, m := range p.members {
		size, ok := s.Sizes[m.language.Name]
		if !ok {
			size = m.size
		}
		cfg.Languages[i].Size = size
	}
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("pool: %w", err)
	}
	cfg = cfg.withDefaults()
	p.maxLive, p.queue, p.resized = cfg.MaxLive, cfg.Queue, p.turns
	for i, m := range p.members {
		m.size = cfg.Languages[i].Size
		d, _ := m.demand(time.Now(), p.cfg.RefillDelay)
		for range min(d.surplus(), len(m.warm)) {
			m.discard(m.warm[0])
		}
	}
	p.changed()
	return nil
}

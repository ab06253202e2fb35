package pool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// Config says what a pool keeps. Fields that are zero get their default from
// New.
type Config struct {
	// Languages are those that the pool serves. There must be at least one, and
	// no name twice.
	Languages []Member

	// MaxLive bounds the sandboxes of all languages that exist at once: warm,
	// leased, being launched and being destroyed. It must leave every language
	// room for its size, and for one where that is 0. The default is twice that
	// and Launches.
	MaxLive int

	// Launches bounds the launches under way at once. The default is the
	// number of processors.
	Launches int

	// Queue bounds the requests that wait, per language. The default is 32;
	// NoQueue refuses every request that would have to wait.
	Queue int

	// RefillDelay is how long after a grant the replacement is launched, if the
	// lease is not closed before. It keeps launches from competing with runs of
	// a few milliseconds. The default is 50 ms.
	RefillDelay time.Duration

	// BackoffMin and BackoffMax bound the time between a failed launch, or
	// destruction, and the next attempt. The defaults are 100 ms and 30 s.
	BackoffMin, BackoffMax time.Duration

	// DestroyTimeout bounds one attempt to destroy a sandbox. The default is
	// 30 s.
	DestroyTimeout time.Duration

	Hooks  Hooks
	Logger *slog.Logger // the default discards
}

// NoQueue is the Config.Queue of a pool in which no request waits.
const NoQueue = -1

// Member is a language and how many warm sandboxes of it the pool keeps. At
// size 0 a sandbox is launched only when a request waits for it.
type Member struct {
	Language sandbox.Language
	Size     int
}

// Hooks observe a pool. Each may be nil. They are called outside the pool's
// lock, by several goroutines, and should not block.
type Hooks struct {
	// Acquired is called by every Acquire of a known language, with its error.
	Acquired func(language string, wait time.Duration, err error)

	// Launched is called after every launch that the pool's end did not cut
	// short.
	Launched func(language string, took time.Duration, err error)

	// Ran is called after every run, with the time since Acquire granted its
	// sandbox.
	Ran func(language string, took time.Duration, result sandbox.Result, err error)

	// Died is called when a sandbox ended while it was warm.
	Died func(language string)

	// Destroyed is called after every attempt to destroy a sandbox.
	Destroyed func(language string, took time.Duration, err error)
}

// Validate reports the first thing about c that cannot work, defaults set.
func (c Config) Validate() error {
	c = c.withDefaults()
	if len(c.Languages) == 0 {
		return errors.New("a pool needs at least one language")
	}
	for i, m := range c.Languages {
		switch {
		case m.Language.Name == "":
			return fmt.Errorf("the language %d has no name", i)
		case slices.ContainsFunc(c.Languages[:i], func(o Member) bool { return o.Language.Name == m.Language.Name }):
			return fmt.Errorf("the language %q is given twice", m.Language.Name)
		case m.Size < 0:
			return fmt.Errorf("the pool size of %q must not be negative", m.Language.Name)
		}
	}
	switch {
	case c.MaxLive < c.reserved():
		return fmt.Errorf("at most %d sandboxes may live, and the pool sizes need %d", c.MaxLive, c.reserved())
	case c.Launches < 1:
		return errors.New("the number of launches at once must be positive")
	case c.Queue < NoQueue:
		return errors.New("the queue must not be negative")
	case c.RefillDelay < 0:
		return errors.New("the refill delay must not be negative")
	case c.BackoffMin <= 0 || c.BackoffMax < c.BackoffMin:
		return errors.New("the backoff must be positive, and its maximum not below its minimum")
	case c.DestroyTimeout <= 0:
		return errors.New("the time-out of a destruction must be positive")
	}
	return nil
}

// reserved is the room that every language is sure of.
func (c Config) reserved() int {
	n := 0
	for _, m := range c.Languages {
		n += max(m.Size, 1)
	}
	return n
}

func (c Config) withDefaults() Config {
	c.Launches = cmp.Or(c.Launches, runtime.NumCPU())
	c.MaxLive = cmp.Or(c.MaxLive, 2*c.reserved()+c.Launches)
	c.Queue = cmp.Or(c.Queue, 32)
	c.RefillDelay = cmp.Or(c.RefillDelay, 50*time.Millisecond)
	c.BackoffMin = cmp.Or(c.BackoffMin, 100*time.Millisecond)
	c.BackoffMax = cmp.Or(c.BackoffMax, 30*time.Second)
	c.DestroyTimeout = cmp.Or(c.DestroyTimeout, 30*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	c.Hooks = c.Hooks.withDefaults()
	return c
}

// And returns hooks that call those of h, then those of o.
func (h Hooks) And(o Hooks) Hooks {
	h, o = h.withDefaults(), o.withDefaults()
	return Hooks{
		Acquired: func(language string, wait time.Duration, err error) {
			h.Acquired(language, wait, err)
			o.Acquired(language, wait, err)
		},
		Launched: func(language string, took time.Duration, err error) {
			h.Launched(language, took, err)
			o.Launched(language, took, err)
		},
		Ran: func(language string, took time.Duration, result sandbox.Result, err error) {
			h.Ran(language, took, result, err)
			o.Ran(language, took, result, err)
		},
		Died: func(language string) {
			h.Died(language)
			o.Died(language)
		},
		Destroyed: func(language string, took time.Duration, err error) {
			h.Destroyed(language, took, err)
			o.Destroyed(language, took, err)
		},
	}
}

func (h Hooks) withDefaults() Hooks {
	if h.Acquired == nil {
		h.Acquired = func(string, time.Duration, error) {}
	}
	if h.Launched == nil {
		h.Launched = func(string, time.Duration, error) {}
	}
	if h.Ran == nil {
		h.Ran = func(string, time.Duration, sandbox.Result, error) {}
	}
	if h.Died == nil {
		h.Died = func(string) {}
	}
	if h.Destroyed == nil {
		h.Destroyed = func(string, time.Duration, error) {}
	}
	return h
}

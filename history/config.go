package history

import (
	"cmp"
	"errors"
	"log/slog"
	"time"
)

// Bounds of one run; a larger one is dropped.
const (
	MaxRunBytes = 4 << 20 // of everything in it
	MaxIDBytes  = 128
)

// Config says where a history is and what it keeps. Fields that are zero get
// their default from Open.
type Config struct {
	// Path is the file. SQLite keeps others beside it, and so does the lock. A
	// folder that is not there is made, for the owner only. It must be set.
	Path string

	// MaxRuns, MaxAge and MaxBytes bound what is kept; the oldest runs go
	// first. The defaults are 10,000, 7 days and 256 MiB. The file may be
	// somewhat larger, and a run may stay a minute too long.
	MaxRuns  int
	MaxAge   time.Duration
	MaxBytes int64

	// QueueRuns and QueueBytes bound the runs that wait to be written, in
	// memory. The defaults are 1,024 and 32 MiB.
	QueueRuns  int
	QueueBytes int64

	Logger *slog.Logger // the default discards
}

// Validate reports the first thing about c that cannot work, defaults set.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Path == "":
		return errors.New("the history needs a file")
	case c.MaxRuns < 0 || c.MaxAge < 0 || c.MaxBytes < 0:
		return errors.New("the bounds of the history must be positive")
	case c.QueueRuns < 0 || c.QueueBytes < 0:
		return errors.New("the bounds of the history's queue must be positive")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.MaxRuns = cmp.Or(c.MaxRuns, 10_000)
	c.MaxAge = cmp.Or(c.MaxAge, 7*24*time.Hour)
	c.MaxBytes = cmp.Or(c.MaxBytes, 256<<20)
	c.QueueRuns = cmp.Or(c.QueueRuns, 1024)
	c.QueueBytes = cmp.Or(c.QueueBytes, 32<<20)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

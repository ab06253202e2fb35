// Package history keeps the latest runs in one SQLite file.
//
// Make a [Store] with [Open] and give it every run with [Store.Add]. Read with
// [Store.Get] and [Store.List], which find a run as soon as Add has returned.
// What the program was and how it was answered are bytes that the store does
// not look into.
//
// Rules. Add never waits: a bounded queue holds runs until one goroutine has
// written them, all that wait in one transaction. That goroutine does every
// write, and keeps the file within its bounds by removing the oldest runs.
// Who reads or deletes says for whom; see [Scope].
//
// A minute after a run was removed, and after Close, nothing of it is left in the
// file or in the log beside it.
//
// How it fails: a run that cannot be kept is dropped and counted in [Stats]; an
// error of the disk is logged when it begins and when it is over. Open refuses
// a file that is in use, foreign, damaged or of a newer preheat, and changes
// nothing in it. A crash loses what was still in the queue, and a loss of power
// perhaps the latest runs written; the file stays sound.
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/preheat/preheat/sandbox"
)

var (
	// ErrNotFound is returned for a run that is not there, or not in the scope.
	ErrNotFound = errors.New("history: no such run")

	// ErrCursor is returned for a Filter.Before that no Page gave.
	ErrCursor = errors.New("history: not a cursor of a page")

	// ErrClosed is returned once Close has been called.
	ErrClosed = errors.New("history: closed")

	// ErrInUse is returned by Open when another process has the file open.
	ErrInUse = errors.New("is in use by another preheat; stop that one, or give this one a data folder of its own")

	// ErrForeign is returned by Open for a file that preheat did not make.
	ErrForeign = errors.New("is not a history of preheat; move it away, or name another file")

	// ErrNewer is returned by Open for a file of a later schema.
	ErrNewer = errors.New("was written by a newer preheat; start that one, or move the file away")

	// ErrDamaged is returned by Open for a file that SQLite cannot read.
	ErrDamaged = errors.New("is damaged; move it away together with its -wal and -shm, and start again: sqlite3's .recover may save what is in it")
)

// Run is one run, as it is kept.
type Run struct {
	ID       string    // unique: of two runs with one ID the first is kept
	Time     time.Time // by which runs are ordered; kept in microseconds
	Key      string    // name of the key that asked for it; empty is none
	Language string
	Status   sandbox.Status
	ExitCode int
	Duration time.Duration // kept in microseconds

	// Code is what Filter.Text looks in and a list shows the beginning of,
	// such as the text of the entry file.
	Code string

	// Program and Answer are the request and its answer, in the caller's
	// encoding.
	Program, Answer []byte
}

// overhead is what a run takes in the file and in memory beside its bytes.
const overhead = 256

// size is what r counts for in every bound in bytes.
func (r *Run) size() int64 {
	return int64(overhead + 2*len(r.ID) + 2*len(r.Key) + len(r.Language) + len(r.Status) + len(r.Code) + len(r.Program) + len(r.Answer))
}

// Scope says whose runs are meant. The zero value is those without a key.
type Scope struct {
	Key string // name of a key
	All bool   // of every key, and without one; Key does not matter
}

func (s Scope) has(r *Run) bool { return s.All || s.Key == r.Key }

// Store is a history. It is safe for concurrent use.
type Store struct {
	cfg    Config
	lock   *os.File // holds the file's lock until it is closed
	writer *sql.DB  // one connection, for the goroutine that writes
	reader *sql.DB

	work   context.Context // ends when Close waits no longer
	abort  context.CancelFunc
	wake   chan struct{} // tells the writer that runs wait; holds one
	jobs   chan job      // for the writer, by ask
	shut   chan struct{} // closed by Close
	joined chan struct{} // closed by the writer when it ends
	ended  error         // what Close returns; set before joined is closed

	runs, bytes atomic.Int64 // in the file; only the writer changes them

	// The writer's own.
	oldest  time.Time // no run in the file is older
	tidyAt  time.Time // when what was removed is to leave the disk; zero for never
	failing int       // the SQLite code of the error that was last logged; 0 for none

	// mu guards what follows. Nothing that may block happens while it is held.
	mu      sync.Mutex
	closed  bool
	queue   []*Run          // those that the writer has not taken
	waiting map[string]*Run // by ID, those that are not in the file yet: queue, and what the writer has taken
	held    int64           // bytes of waiting
	lost    int             // runs that could not be written since Close was called
	total   Totals
}

// Open opens the history in the file that cfg names, and makes it if it is not
// there. Besides its own errors, which name the file, it returns those of the
// system.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	s := &Store{
		cfg:     cfg.withDefaults(),
		wake:    make(chan struct{}, 1),
		jobs:    make(chan job),
		shut:    make(chan struct{}),
		joined:  make(chan struct{}),
		waiting: make(map[string]*Run),
	}
	if err := s.openFile(); err != nil {
		_ = s.closeFile()
		return nil, fmt.Errorf("history: %s: %w", cfg.Path, err)
	}
	s.work, s.abort = context.WithCancel(context.Background())
	s.tidyAt = time.Now() // an earlier process may not have come to it
	go s.write()
	return s, nil
}

// Add gives r to the store, which may keep the slices in it: they must not be
// changed. It never blocks. A run that cannot be kept is dropped and counted.
func (s *Store) Add(r Run) {
	r.Time = r.Time.UTC().Truncate(time.Microsecond)
	r.Duration = r.Duration.Truncate(time.Microsecond)
	size := r.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Added++
	switch {
	case s.closed:
		s.total.Dropped.Closed++
	case size > MaxRunBytes || len(r.ID) > MaxIDBytes:
		s.total.Dropped.TooLarge++
	case len(s.waiting) >= s.cfg.QueueRuns || s.held+size > s.cfg.QueueBytes:
		s.total.Dropped.QueueFull++
	case s.waiting[r.ID] != nil:
		s.total.Dropped.Duplicate++
	default:
		s.queue = append(s.queue, &r)
		s.waiting[r.ID] = &r
		s.held += size
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Close writes what waits, until ctx ends, and closes the file. It says how many
// runs it could not write. It may be called again.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.shut)
	}
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	<-s.joined
	return s.ended
}

package history

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// maxBatch bounds the runs of one transaction.
const maxBatch = 256

// job is something that the writer does for a caller.
type job struct {
	do   func() error
	done chan error // holds one
}

// ask has the writer do something after it has written every run that was added
// before. When ctx ends earlier, it may still be done.
func (s *Store) ask(ctx context.Context, do func() error) error {
	j := job{do, make(chan error, 1)}
	select {
	case s.jobs <- j:
	case <-s.shut:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the goroutine that writes. It sleeps while there is nothing to do:
// its timer is set only when runs will be too old, or were removed.
func (s *Store) write() {
	defer close(s.joined)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
			s.drain()
		case j := <-s.jobs:
			s.drain()
			j.done <- j.do()
		case <-timer.C:
			s.tidy()
		case <-s.shut:
			s.ended = s.end()
			return
		}
		if at := s.next(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(at))
		}
	}
}

func (s *Store) end() error {
	defer s.abort()
	s.drain()
	s.tidy()
	if err := s.closeFile(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		return fmt.Errorf("history: %d runs could not be written", s.lost)
	}
	return nil
}

// drain writes what waits, a batch at a time, and keeps the bounds.
func (s *Store) drain() {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return
		}
		written, err := s.insert(batch)
		s.settle(batch, written, err)
		if err == nil {
			err = s.prune()
		}
		s.report(err)
	}
}

func (s *Store) take() []*Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), maxBatch)
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil // lets go of what was written
	}
	return batch
}

// settle counts a batch that is in the file, or lost to err.
func (s *Store) settle(batch []*Run, written int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		delete(s.waiting, r.ID)
		s.held -= r.size()
	}
	if err != nil {
		s.total.Dropped.Disk += uint64(len(batch))
		if s.closed {
			s.lost += len(batch)
		}
		return
	}
	s.total.Written += uint64(written)
	s.total.Dropped.Duplicate += uint64(len(batch) - written)
}

// insert writes batch in one transaction and returns how many runs it added.
func (s *Store) insert(batch []*Run) (int, error) {
	tx, err := s.writer.BeginTx(s.work, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	insert, err := tx.PrepareContext(s.work, `INSERT INTO runs (id, time, key, language, status, exit_code, duration, size, code, program, answer)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, x''), coalesce(?, x'')) ON CONFLICT (id) DO NOTHING`)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	var runs int
	var bytes int64
	oldest := s.oldest
	for _, r := range batch {
		done, err := insert.ExecContext(s.work, r.ID, r.Time.UnixMicro(), r.Key, r.Language, string(r.Status), r.ExitCode,
			r.Duration.Microseconds(), r.size(), r.Code, r.Program, r.Answer)
		if err != nil {
			return 0, err
		}
		if n, err := done.RowsAffected(); err != nil {
			return 0, err
		} else if n == 0 {
			continue
		}
		runs++
		bytes += r.size()
		if s.runs.Load() == 0 && runs == 1 || r.Time.Before(oldest) {
			oldest = r.Time
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	s.runs.Add(int64(runs))
	s.bytes.Add(bytes)
	s.oldest = oldest
	return runs, nil
}

// report logs an error of the disk when it begins, when its kind changes, and
// when it is over.
func (s *Store) report(err error) {
	if err == nil {
		if s.failing != 0 {
			s.cfg.Logger.Info("history is written again", slog.String("file", s.cfg.Path))
		}
		s.failing = 0
		return
	}
	if kind := code(err); kind != s.failing && s.work.Err() == nil {
		s.failing = kind
		s.cfg.Logger.Error("history cannot be written", slog.String("file", s.cfg.Path), slog.Any("error", explain(err)))
	}
}

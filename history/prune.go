package history

import "time"

const (
	pruneStep = 256         // runs that one transaction removes
	tidyDelay = time.Minute // from a removal until it has left the disk
)

// row is what a bound is about.
type row struct {
	time time.Time
	size int64
}

// surplus is how many of the oldest runs, given in order, must go so that the
// rest of so many runs and bytes is within the bounds.
func surplus(oldest []row, runs, bytes int64, c Config, now time.Time) int {
	for i, r := range oldest {
		if runs <= int64(c.MaxRuns) && bytes <= c.MaxBytes && now.Sub(r.time) <= c.MaxAge {
			return i
		}
		runs--
		bytes -= r.size
	}
	return len(oldest)
}

// excess reports whether a run must go, if s.oldest is right.
func (s *Store) excess() bool {
	return s.runs.Load() > 0 && surplus([]row{{time: s.oldest}}, s.runs.Load(), s.bytes.Load(), s.cfg, time.Now()) > 0
}

// prune removes the oldest runs until the file is within its bounds.
func (s *Store) prune() error {
	for s.excess() {
		oldest, err := s.oldestRows()
		if err != nil {
			return err
		}
		if len(oldest) == 0 { // someone else has emptied the file
			return s.count(s.work)
		}
		n := surplus(oldest, s.runs.Load(), s.bytes.Load(), s.cfg, time.Now())
		removed, err := s.remove(`SELECT rowid FROM runs ORDER BY time, id LIMIT ?`, n)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.total.Pruned += uint64(removed)
		s.mu.Unlock()
		if n < len(oldest) {
			s.oldest = oldest[n].time
		}
	}
	return nil
}

// oldestRows returns the first pruneStep runs that would go.
func (s *Store) oldestRows() ([]row, error) {
	rows, err := s.writer.QueryContext(s.work, `SELECT time, size FROM runs ORDER BY time, id LIMIT ?`, pruneStep)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var oldest []row
	for rows.Next() {
		var micros, size int64
		if err := rows.Scan(&micros, &size); err != nil {
			return nil, err
		}
		oldest = append(oldest, row{fromMicros(micros), size})
	}
	return oldest, rows.Err()
}

// remove deletes the runs whose rowids which selects, and returns how many.
func (s *Store) remove(which string, args ...any) (int, error) {
	rows, err := s.writer.QueryContext(s.work, `DELETE FROM runs WHERE rowid IN (`+which+`) RETURNING size`, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var runs, bytes int64
	for rows.Next() {
		var size int64
		if err := rows.Scan(&size); err != nil {
			return 0, err
		}
		runs++
		bytes += size
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	s.runs.Add(-runs)
	s.bytes.Add(-bytes)
	if runs > 0 && s.tidyAt.IsZero() {
		s.tidyAt = time.Now().Add(tidyDelay)
	}
	return int(runs), nil
}

// next is when tidy is due, though nothing happens: zero for never.
func (s *Store) next() time.Time {
	if !s.tidyAt.IsZero() || s.runs.Load() == 0 {
		return s.tidyAt
	}
	soonest, due := time.Now().Add(tidyDelay), s.oldest.Add(s.cfg.MaxAge)
	if due.Before(soonest) {
		return soonest
	}
	return due
}

// tidy removes what is too old, and then what was removed from the disk: free
// pages from the file, and everything from the log. What fails is tried again.
func (s *Store) tidy() {
	err := s.prune()
	if err == nil && !s.tidyAt.IsZero() {
		s.tidyAt = time.Time{}
		err = s.shrink()
	}
	if err != nil {
		s.tidyAt = time.Now().Add(tidyDelay)
		s.report(err)
	}
}

func (s *Store) shrink() error {
	for {
		var free int
		if err := s.writer.QueryRowContext(s.work, `PRAGMA freelist_count`).Scan(&free); err != nil {
			return err
		}
		if free == 0 {
			break
		}
		if _, err := s.writer.ExecContext(s.work, `PRAGMA incremental_vacuum(1024)`); err != nil {
			return err
		}
	}
	var busy, logged, folded int
	err := s.writer.QueryRowContext(s.work, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &logged, &folded)
	if err == nil && busy != 0 { // by a reader
		s.tidyAt = time.Now().Add(tidyDelay)
	}
	return err
}

package history

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// The number of runs in a page.
const (
	DefaultLimit = 20
	MaxLimit     = 100
)

// previewChars bounds the Code of a run in a list.
const previewChars = 200

// Filter says which runs of a scope a list has. A zero field does not filter,
// except Scope.
type Filter struct {
	Scope    Scope
	Language string
	Status   sandbox.Status
	Since    time.Time // at or after
	Until    time.Time // before
	Text     string    // somewhere in Code, at most 20,000 bytes; A to Z match either case
	Limit    int       // runs at most, from 1 to MaxLimit; zero is DefaultLimit
	Before   string    // the Next of the page before
}

// Page is a part of a list, newest first.
type Page struct {
	Runs []Run  // without Program and Answer, and the first 200 characters of Code
	Next string // for Filter.Before, where there are more; else empty
}

// Get returns a run of the scope, or ErrNotFound. The slices in it must not be
// changed.
func (s *Store) Get(ctx context.Context, scope Scope, id string) (Run, error) {
	s.mu.Lock()
	closed, waiting := s.closed, s.waiting[id]
	s.mu.Unlock()
	if closed {
		return Run{}, ErrClosed
	}
	if waiting != nil && scope.has(waiting) {
		return *waiting, nil
	}
	var r Run
	query := `SELECT id, time, key, language, status, exit_code, duration, code, program, answer FROM runs WHERE id = ? AND (? OR key = ?)`
	err := scan(&r, s.reader.QueryRowContext(ctx, query, id, scope.All, scope.Key).Scan, &r.Program, &r.Answer)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, fmt.Errorf("history: %w", err)
	}
	return r, nil
}

// List returns a page of the runs that f selects. Runs that are added meanwhile
// do not shift the pages after it. It waits until every run added before is
// written. Its errors are ErrCursor, ErrClosed, and those of ctx and the disk.
func (s *Store) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit <= 0 {
		f.Limit = DefaultLimit
	}
	f.Limit = min(f.Limit, MaxLimit)
	where, args, err := f.where()
	if err != nil {
		return Page{}, err
	}
	if err := s.flush(ctx); err != nil {
		return Page{}, err
	}
	query := `SELECT id, time, key, language, status, exit_code, duration, substr(code, 1, ?) FROM runs` +
		where + ` ORDER BY time DESC, id DESC LIMIT ?`
	args = append(append([]any{previewChars}, args...), f.Limit+1)
	page, err := s.page(ctx, query, args, f.Limit)
	if err != nil {
		return Page{}, fmt.Errorf("history: %w", err)
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, query string, args []any, limit int) (page Page, err error) {
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return Page{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var r Run
		if err := scan(&r, rows.Scan); err != nil {
			return Page{}, err
		}
		if len(page.Runs) == limit {
			page.Next = cursor(page.Runs[limit-1])
			break
		}
		page.Runs = append(page.Runs, r)
	}
	return page, rows.Err()
}

// flush returns when every run added before is in the file, or dropped.
func (s *Store) flush(ctx context.Context) error {
	s.mu.Lock()
	closed, waiting := s.closed, len(s.waiting)
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case waiting == 0:
		return nil
	}
	return s.ask(ctx, func() error { return nil })
}

// Delete removes a run of the scope, or returns ErrNotFound. When ctx ends first,
// it may still be done.
func (s *Store) Delete(ctx context.Context, scope Scope, id string) error {
	return s.ask(ctx, func() error {
		n, err := s.delete(`SELECT rowid FROM runs WHERE id = ? AND (? OR key = ?)`, id, scope.All, scope.Key)
		if err == nil && n == 0 {
			return ErrNotFound
		}
		return err
	})
}

// DeleteAll removes every run of the scope and returns how many that were. When
// ctx ends first, it may still be done.
func (s *Store) DeleteAll(ctx context.Context, scope Scope) (int, error) {
	deleted := make(chan int, 1)
	err := s.ask(ctx, func() error {
		total := 0
		for {
			n, err := s.delete(`SELECT rowid FROM runs WHERE ? OR key = ? LIMIT ?`, scope.All, scope.Key, pruneStep)
			total += n
			if err != nil || n == 0 {
				deleted <- total
				return err
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return <-deleted, nil
}

func (s *Store) delete(which string, args ...any) (int, error) {
	n, err := s.remove(which, args...)
	if err != nil {
		return 0, fmt.Errorf("history: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Deleted += uint64(n)
	return n, nil
}

// where gives the condition of f and its arguments.
func (f Filter) where() (string, []any, error) {
	var conditions []string
	var args []any
	add := func(wanted bool, condition string, values ...any) {
		if wanted {
			conditions = append(conditions, condition)
			args = append(args, values...)
		}
	}
	add(!f.Scope.All, "key = ?", f.Scope.Key)
	add(f.Language != "", "language = ?", f.Language)
	add(f.Status != "", "status = ?", string(f.Status))
	add(!f.Since.IsZero(), "time >= ?", f.Since.UnixMicro())
	add(!f.Until.IsZero(), "time < ?", f.Until.UnixMicro())
	add(f.Text != "", `code LIKE ? ESCAPE '\'`, "%"+likeEscaper.Replace(f.Text)+"%")
	if f.Before != "" {
		micros, id, err := parseCursor(f.Before)
		if err != nil {
			return "", nil, err
		}
		add(true, "(time, id) < (?, ?)", micros, id)
	}
	if len(conditions) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args, nil
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// cursor names the place after r in a list.
func cursor(r Run) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", r.Time.UnixMicro(), r.ID))
}

func parseCursor(s string) (micros int64, id string, err error) {
	plain, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, "", ErrCursor
	}
	before, id, found := strings.Cut(string(plain), ".")
	micros, err = strconv.ParseInt(before, 10, 64)
	if err != nil || !found {
		return 0, "", ErrCursor
	}
	return micros, id, nil
}

// scan reads the columns that a list has into r, and what follows into more.
func scan(r *Run, columns func(...any) error, more ...any) error {
	var at, took int64
	err := columns(append([]any{&r.ID, &at, &r.Key, &r.Language, &r.Status, &r.ExitCode, &took, &r.Code}, more...)...)
	r.Time = fromMicros(at)
	r.Duration = time.Duration(took) * time.Microsecond
	return err
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// applicationID marks the file as ours, in SQLite's header.
const applicationID = 0x70686831 // phh1

// migrations lead from each schema version to the next; a version is the number
// of those done. The large columns come last, so that a list does not read them.
var migrations = []string{
	`CREATE TABLE runs (
		id        TEXT NOT NULL UNIQUE,
		time      INTEGER NOT NULL, -- µs since 1970
		key       TEXT NOT NULL,
		language  TEXT NOT NULL,
		status    TEXT NOT NULL,
		exit_code INTEGER NOT NULL,
		duration  INTEGER NOT NULL, -- µs
		size      INTEGER NOT NULL, -- bytes
		code      TEXT NOT NULL,
		program   BLOB NOT NULL,
		answer    BLOB NOT NULL
	) STRICT;
	CREATE INDEX runs_by_time ON runs (time, id);
	CREATE INDEX runs_by_key ON runs (key, time, id)`,
}

// What every connection sets. Secure deletion is ON, not FAST: FAST does not zero
// the pages it frees, and most of a program is in such pages.
var (
	writing = url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "cache_size(-2048)", "synchronous(NORMAL)", "secure_delete(ON)", "journal_size_limit(4194304)",
	}}
	reading = url.Values{"_pragma": {"busy_timeout(5000)", "cache_size(-1024)", "query_only(ON)"}}
)

// openFile opens the connections and brings the schema up to date. When it
// fails, closeFile closes what it has opened.
func (s *Store) openFile() error {
	path, err := filepath.Abs(s.cfg.Path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if s.lock, err = lockFile(path + ".lock"); err != nil {
		return err
	}
	if err := makeFile(path); err != nil {
		return err
	}
	if s.writer, err = connect(path, writing, 1); err != nil {
		return err
	}
	if s.reader, err = connect(path, reading, 2); err != nil {
		return err
	}
	if err := s.identify(context.Background()); err != nil {
		return explain(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return explain(s.prepare(context.Background()))
}

// lockFile takes a lock that ends with the process. It is not on the database
// itself, where closing any descriptor would end SQLite's own locks.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrInUse
	}
	return nil, fmt.Errorf("cannot be locked: %w", err)
}

// makeFile makes the file before SQLite would, for the owner only. SQLite gives
// those beside it the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path string, settings url.Values, conns int) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// identify refuses a file that is not ours, before anything is changed in it.
func (s *Store) identify(ctx context.Context) error {
	var app, version, tables int
	err := s.writer.QueryRowContext(ctx, `SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
		FROM pragma_application_id, pragma_user_version`).Scan(&app, &version, &tables)
	switch {
	case err != nil:
		return err
	case app != applicationID && (app != 0 || version != 0 || tables != 0):
		return ErrForeign
	case version > len(migrations):
		return ErrNewer
	}
	return nil
}

// prepare brings the file up to date.
func (s *Store) prepare(ctx context.Context) error {
	var version int
	if err := s.writer.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return err
	}
	if version == 0 { // both stay in the file; the first must be there before any table
		if _, err := s.writer.ExecContext(ctx, `PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL`); err != nil {
			return err
		}
	}
	if version < len(migrations) {
		if err := s.migrate(ctx, migrations[version:]); err != nil {
			return err
		}
	}
	return s.count(ctx)
}

func (s *Store) migrate(ctx context.Context, steps []string) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, step := range steps {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(migrations))
	if _, err := tx.ExecContext(ctx, mark); err != nil {
		return err
	}
	return tx.Commit()
}

// count reads what the file holds.
func (s *Store) count(ctx context.Context) error {
	var runs, bytes, oldest int64
	err := s.writer.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(size), 0), coalesce(min(time), 0) FROM runs`).Scan(&runs, &bytes, &oldest)
	if err != nil {
		return err
	}
	s.runs.Store(runs)
	s.bytes.Store(bytes)
	s.oldest = fromMicros(oldest)
	return nil
}

// closeFile closes what openFile opened. The writer's connection is the last,
// which folds the log into the file.
func (s *Store) closeFile() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// code is SQLite's primary result code, or -1 for an error that is not its own.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return -1
}

// explain gives an error of SQLite about the whole file its sentence.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case code(err) == sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case code(err) == sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

package history

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreTheOwnersOnly(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "data")
	s := open(t, Config{Path: filepath.Join(folder, "history.db")})
	s.Add(numbered(1))
	flush(t, s)
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("there are %v, %v", files, err)
	}
	for _, name := range append(files, folder, filepath.Dir(folder)) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := os.Chmod(s.cfg.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, nil)
	if info, err := os.Stat(s.cfg.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file that was open to others is %v, %v", info.Mode(), err)
	}
}

func TestAnyPathWillDo(t *testing.T) {
	for _, name := range []string{"a b", "50%", "what?mode=ro", "a#b", "ü", "%3f", ":memory:"} {
		path := filepath.Join(t.TempDir(), name)
		shut(t, open(t, Config{Path: path}))
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileIsOpenOnce(t *testing.T) {
	s := open(t, Config{})
	if _, err := Open(s.cfg); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.cfg.Path) {
		t.Errorf("a second Open returned %v", err)
	}
	s.Add(numbered(1))
	flush(t, s)
	reopen(t, s, nil)
}

func sqlFile(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(statements)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatCannotBeUsedAreRefusedAndLeftAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(t *testing.T, path string)
		want error
	}{
		"a text": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("notes\n"), 1000), 0o644); err != nil {
				t.Fatal(err)
			}
		}, ErrForeign},
		"another program's database": {func(t *testing.T, path string) {
			sqlFile(t, path, `CREATE TABLE users (name)`)
		}, ErrForeign},
		"another program's marked database": {func(t *testing.T, path string) {
			sqlFile(t, path, `PRAGMA application_id = 7; CREATE TABLE runs (id)`)
		}, ErrForeign},
		"a later schema": {func(t *testing.T, path string) {
			shut(t, open(t, Config{Path: path}))
			sqlFile(t, path, fmt.Sprintf(`PRAGMA user_version = %d`, len(migrations)+1))
		}, ErrNewer},
		"a damaged page": {func(t *testing.T, path string) {
			s := open(t, Config{Path: path})
			for i := range 500 {
				s.Add(numbered(i))
			}
			shut(t, s)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096; i < len(content); i++ {
				content[i] = 0xee
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrDamaged},
		"half a file": {func(t *testing.T, path string) {
			s := open(t, Config{Path: path})
			for i := range 500 {
				s.Add(numbered(i))
			}
			shut(t, s)
			if err := os.Truncate(path, 50_000); err != nil {
				t.Fatal(err)
			}
		}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.db")
			tt.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Config{Path: path}); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open returned %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file has changed, %v", err)
			}
		})
	}
}

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	for _, cfg := range []Config{
		{}, {Path: "x", MaxRuns: -1}, {Path: "x", MaxAge: -1}, {Path: "x", MaxBytes: -1},
		{Path: "x", QueueRuns: -1}, {Path: "x", QueueBytes: -1},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := Open(Config{Path: t.TempDir()}); err == nil {
		t.Error("a folder is accepted")
	}
}

func TestAnEarlierSchemaIsBroughtUpToDate(t *testing.T) {
	s := open(t, Config{})
	s.Add(numbered(1))
	shut(t, s)
	was := migrations
	defer func() { migrations = was }()
	migrations = append(migrations[:len(was):len(was)], `ALTER TABLE runs ADD COLUMN note TEXT`, `UPDATE runs SET note = 'kept'`)
	s = open(t, s.cfg)
	var id, note string
	var version int
	err := s.reader.QueryRow(`SELECT id, note, user_version FROM runs, pragma_user_version`).Scan(&id, &note, &version)
	if err != nil || id != numbered(1).ID || note != "kept" || version != len(was)+2 {
		t.Errorf("version %d has %q %q, %v", version, id, note, err)
	}
}

// writeUntilKilled tells, line by line, how many runs are in the file.
func writeUntilKilled(path string) {
	s, err := Open(Config{Path: path, MaxAge: forever, MaxRuns: 300})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		r := numbered(i)
		r.Answer = make([]byte, 20_000)
		s.Add(r)
		if i%10 == 9 {
			_ = s.flush(context.Background())
			fmt.Println(r.ID)
		}
	}
}

func TestAKilledProcessLeavesASoundFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	for range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "HISTORY_CRASH="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var last string
		for range 60 {
			if lines.Scan() {
				last = lines.Text()
			}
		}
		_ = child.Process.Kill()
		for lines.Scan() {
			last = lines.Text()
		}
		_ = child.Wait()

		s := open(t, Config{Path: path})
		var verdict string
		if err := s.reader.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Fatalf("the file is %q, %v", verdict, err)
		}
		if r, err := s.Get(t.Context(), Scope{}, last); err != nil || len(r.Answer) != 20_000 {
			t.Errorf("the last run that was written, %q, is %v", last, err)
		}
		if _, err := s.DeleteAll(t.Context(), Scope{}); err != nil {
			t.Error(err)
		}
		shut(t, s)
	}
}

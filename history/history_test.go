package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("HISTORY_CRASH"); path != "" {
		writeUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// epoch is the time of run 0.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC)

// numbered is a run of a second, the nth since the epoch.
func numbered(n int) Run {
	return Run{
		ID: fmt.Sprintf("run-%06d", n), Time: epoch.Add(time.Duration(n) * time.Second), Language: "python",
		Status: sandbox.OK, Duration: 5 * time.Millisecond, Code: fmt.Sprintf("print(%d)", n),
		Program: []byte(`{"code":"…"}`), Answer: []byte(`{"stdout":"…"}`),
	}
}

// forever keeps runs of any age.
const forever = 100 * 365 * 24 * time.Hour

// open opens a store that the test's end closes. Runs do not age unless cfg
// says so.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "history.db")
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = forever
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// reopen closes s and opens its file again.
func reopen(t testing.TB, s *Store, change func(*Config)) *Store {
	t.Helper()
	shut(t, s)
	cfg := s.cfg
	if change != nil {
		change(&cfg)
	}
	return open(t, cfg)
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ids lists the runs that f selects, over all pages.
func ids(t testing.TB, s *Store, f Filter) []string {
	t.Helper()
	var all []string
	for {
		page, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Runs {
			all = append(all, r.ID)
		}
		if f.Before = page.Next; f.Before == "" {
			return all
		}
	}
}

// occupy holds the file's write lock until the function it returns is called.
func occupy(t testing.TB, s *Store) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", s.cfg.Path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func (j *journal) lines(with string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), with)
}

func TestARunIsReadAsItWasAdded(t *testing.T) {
	s := open(t, Config{})
	want := Run{
		ID: "a", Time: time.Date(2026, 1, 2, 3, 4, 5, 678_912_345, time.FixedZone("", 3600)), Key: "ci", Language: "node",
		Status: sandbox.Timeout, ExitCode: 137, Duration: 10*time.Second + 1, Code: "naïve \xff '\"%_\\ \n",
		Program: []byte("\x00\xff{}"), Answer: []byte(`{"status":"timeout"}`),
	}
	bare := Run{ID: "b", Time: epoch}
	s.Add(want)
	s.Add(bare)
	want.Time = time.Date(2026, 1, 2, 2, 4, 5, 678_912_000, time.UTC)
	want.Duration = 10 * time.Second
	check := func(when string) {
		for _, want := range []Run{want, bare} {
			got, err := s.Get(t.Context(), Scope{All: true}, want.ID)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("%s: %v %s", when, err, diff)
			}
		}
	}
	check("at once")
	flush(t, s)
	check("once written")
	s = reopen(t, s, nil)
	check("after the file was opened again")
	if got := s.Stats(); got.Runs != 2 || got.Bytes != want.size()+bare.size() {
		t.Errorf("the store counts %+v", got)
	}
}

func TestAnIDIsKeptOnce(t *testing.T) {
	s := open(t, Config{})
	add := func(key string) {
		r := numbered(1)
		r.Key = key
		s.Add(r)
	}
	release := occupy(t, s)
	add("first")
	add("second")
	release()
	flush(t, s)
	add("third")
	flush(t, s)
	r, err := s.Get(t.Context(), Scope{All: true}, numbered(1).ID)
	if got := s.Stats(); err != nil || r.Key != "first" || got.Runs != 1 || got.Written != 1 || got.Dropped.Duplicate != 2 {
		t.Errorf("%q is kept, %v; the store counts %+v", r.Key, err, got)
	}
}

func TestRunsThatAreTooLargeAreDropped(t *testing.T) {
	s := open(t, Config{})
	for _, change := range []func(*Run){
		func(r *Run) { r.Code = strings.Repeat("x", MaxRunBytes) },
		func(r *Run) { r.Program = make([]byte, MaxRunBytes) },
		func(r *Run) { r.Answer = make([]byte, MaxRunBytes) },
		func(r *Run) { r.Key = strings.Repeat("x", MaxRunBytes) },
		func(r *Run) { r.ID = strings.Repeat("x", MaxIDBytes+1) },
	} {
		r := numbered(1)
		change(&r)
		s.Add(r)
	}
	largest := numbered(2)
	largest.Answer = make([]byte, MaxRunBytes-largest.size()+int64(len(largest.Answer)))
	s.Add(largest)
	flush(t, s)
	if got := s.Stats(); got.Dropped.TooLarge != 5 || got.Written != 1 || got.Bytes != MaxRunBytes {
		t.Errorf("the store counts %+v", got)
	}
}

func TestAScopeSeesOnlyItsOwnRuns(t *testing.T) {
	s := open(t, Config{})
	for i, key := range []string{"", "a", "b", "a", "a' OR 1"} {
		r := numbered(i)
		r.Key = key
		s.Add(r)
	}
	name := func(n int) string { return numbered(n).ID }
	for _, tt := range []struct {
		scope Scope
		want  []string
	}{
		{Scope{}, []string{name(0)}},
		{Scope{Key: "a"}, []string{name(3), name(1)}},
		{Scope{Key: "b"}, []string{name(2)}},
		{Scope{Key: "c"}, nil},
		{Scope{Key: "a' OR 1"}, []string{name(4)}},
		{Scope{All: true}, []string{name(4), name(3), name(2), name(1), name(0)}},
		{Scope{All: true, Key: "a"}, []string{name(4), name(3), name(2), name(1), name(0)}},
	} {
		if diff := cmp.Diff(tt.want, ids(t, s, Filter{Scope: tt.scope, Limit: 2})); diff != "" {
			t.Errorf("%+v lists: %s", tt.scope, diff)
		}
	}
	for _, waits := range []bool{false, true} {
		id := name(1)
		if waits {
			defer occupy(t, s)()
			r := numbered(9)
			r.Key, id = "a", r.ID
			s.Add(r)
		}
		for _, scope := range []Scope{{}, {Key: "b"}} {
			if r, err := s.Get(t.Context(), scope, id); !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v got %+v, %v", scope, r, err)
			}
		}
		if _, err := s.Get(t.Context(), Scope{Key: "a"}, id); err != nil {
			t.Errorf("the owner got %v", err)
		}
	}
}

func TestDeletionIsForTheScopeOnly(t *testing.T) {
	s := open(t, Config{})
	for i := range 10 {
		r := numbered(i)
		r.Key = string(rune('a' + i%2))
		s.Add(r)
	}
	odd := numbered(1).ID
	if err := s.Delete(t.Context(), Scope{Key: "a"}, odd); !errors.Is(err, ErrNotFound) {
		t.Errorf("a stranger's deletion is %v", err)
	}
	if err := s.Delete(t.Context(), Scope{Key: "b"}, odd); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), Scope{All: true}, odd); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second deletion is %v", err)
	}
	if n, err := s.DeleteAll(t.Context(), Scope{Key: "b"}); n != 4 || err != nil {
		t.Errorf("%d were deleted, %v", n, err)
	}
	if n, err := s.DeleteAll(t.Context(), Scope{}); n != 0 || err != nil {
		t.Errorf("%d without a key were deleted, %v", n, err)
	}
	if got := ids(t, s, Filter{Scope: Scope{All: true}}); len(got) != 5 {
		t.Errorf("%v are left", got)
	}
	if n, err := s.DeleteAll(t.Context(), Scope{All: true}); n != 5 || err != nil {
		t.Errorf("%d of the rest were deleted, %v", n, err)
	}
	if got := s.Stats(); got.Deleted != 10 || got.Runs != 0 || got.Bytes != 0 {
		t.Errorf("the store counts %+v", got)
	}
}

func TestAClosedStoreRefuses(t *testing.T) {
	s := open(t, Config{})
	s.Add(numbered(1))
	shut(t, s)
	shut(t, s)
	s.Add(numbered(2))
	_, getErr := s.Get(t.Context(), Scope{}, "x")
	_, listErr := s.List(t.Context(), Filter{})
	_, allErr := s.DeleteAll(t.Context(), Scope{})
	for _, err := range []error{getErr, listErr, allErr, s.Delete(t.Context(), Scope{}, "x")} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if got := s.Stats(); got.Written != 1 || got.Dropped.Closed != 1 {
		t.Errorf("the store counts %+v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := open(t, Config{MaxRuns: 50})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 50 {
				r := numbered(100*g + i)
				s.Add(r)
				if _, err := s.Get(t.Context(), Scope{}, r.ID); err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
				switch i % 10 {
				case 3:
					if _, err := s.List(t.Context(), Filter{}); err != nil {
						t.Error(err)
					}
				case 6:
					if err := s.Delete(t.Context(), Scope{}, r.ID); err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
					}
				}
				s.Stats()
			}
		})
	}
	all.Wait()
	flush(t, s)
	got := s.Stats()
	if got.Added != 200 || got.Written != 200 || got.Runs != int64(got.Written-got.Pruned-got.Deleted) || got.Runs > 50 || got.Waiting != 0 || got.WaitingBytes != 0 {
		t.Errorf("the store counts %+v", got)
	}
}

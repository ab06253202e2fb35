package history

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSurplusIsTheOldestThatDoNotFit(t *testing.T) {
	now := epoch.Add(time.Hour)
	c := Config{MaxRuns: 3, MaxBytes: 100, MaxAge: time.Hour}
	oldest := []row{{now.Add(-2 * time.Hour), 10}, {now.Add(-time.Hour), 50}, {now, 60}}
	for name, tt := range map[string]struct {
		oldest      []row
		runs, bytes int64
		want        int
	}{
		"nothing":                {nil, 0, 0, 0},
		"all that fit":           {oldest[1:], 2, 100, 0},
		"one too old":            {oldest, 3, 100, 1},
		"one run too many":       {oldest[1:], 4, 100, 1},
		"a byte too many":        {oldest[1:], 2, 101, 1},
		"many bytes too many":    {oldest[1:], 3, 151, 2},
		"more than were given":   {oldest[1:], 9, 100, 2},
		"one run beyond MaxByte": {oldest[2:], 1, 101, 1},
	} {
		if got := surplus(tt.oldest, tt.runs, tt.bytes, c, now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// A plain model beside the store takes the same random steps.
func TestBoundsHoldWhateverHappens(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := open(t, Config{MaxRuns: 15, MaxBytes: 40_000})
	model := map[string]Run{}
	for step := range 400 {
		switch n := random.IntN(100); {
		case n < 85:
			r := numbered(random.IntN(300))
			r.Key = string(rune('a' + random.IntN(3)))
			r.Program = make([]byte, random.IntN(1<<random.IntN(15)))
			s.Add(r)
			if _, there := model[r.ID]; !there {
				model[r.ID] = r
			}
		case n < 95:
			id := numbered(random.IntN(300)).ID
			_, there := model[id]
			if err := s.Delete(t.Context(), Scope{All: true}, id); (err == nil) != there {
				t.Fatalf("step %d: deletion of %s is %v", step, id, err)
			}
			delete(model, id)
		case n < 97:
			if _, err := s.DeleteAll(t.Context(), Scope{Key: "b"}); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(model, func(_ string, r Run) bool { return r.Key == "b" })
		default:
			s = reopen(t, s, func(c *Config) { c.MaxRuns = 5 + random.IntN(20) })
		}
		bound(model, s.cfg)
		want := slices.Sorted(maps.Keys(model)) // IDs are in the order of time
		slices.Reverse(want)
		if diff := cmp.Diff(want, settled(t, s)); diff != "" {
			t.Fatalf("step %d: %s", step, diff)
		}
		var runs, size int64
		if err := s.reader.QueryRow("SELECT count(*), coalesce(sum(size), 0) FROM runs").Scan(&runs, &size); err != nil {
			t.Fatal(err)
		}
		if got := s.Stats(); got.Runs != runs || got.Bytes != size || size > s.cfg.MaxBytes {
			t.Fatalf("step %d: the file has %d runs of %d bytes, the store counts %+v", step, runs, size, got)
		}
	}
}

// bound removes from the model what the bounds have no room for.
func bound(model map[string]Run, c Config) {
	var bytes int64
	for _, r := range model {
		bytes += r.size()
	}
	for _, id := range slices.Sorted(maps.Keys(model)) {
		if len(model) <= c.MaxRuns && bytes <= c.MaxBytes {
			return
		}
		r := model[id]
		bytes -= r.size()
		delete(model, id)
	}
}

// settled lists all runs once the writer has done what was due.
func settled(t *testing.T, s *Store) []string {
	t.Helper()
	if err := s.ask(t.Context(), s.prune); err != nil {
		t.Fatal(err)
	}
	return ids(t, s, Filter{Scope: Scope{All: true}})
}

func TestOldRunsGoThoughNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Config{MaxAge: time.Hour})
		for i, age := range []time.Duration{0, 2 * time.Hour, 30 * time.Minute} {
			r := numbered(i)
			r.Time = time.Now().Add(-age)
			s.Add(r)
			flush(t, s)
		}
		if got := ids(t, s, Filter{}); len(got) != 2 {
			t.Errorf("at first there are %v", got)
		}
		time.Sleep(31*time.Minute + time.Second)
		synctest.Wait()
		if got := ids(t, s, Filter{}); len(got) != 1 {
			t.Errorf("after half an hour there are %v", got)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if got := s.Stats(); got.Runs != 0 || got.Pruned != 3 {
			t.Errorf("after an hour the store counts %+v", got)
		}
		shut(t, s)
	})
}

func TestNothingIsDueWhileNothingIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Config{MaxAge: time.Hour})
		synctest.Wait()
		if at := s.next(); !at.IsZero() {
			t.Errorf("tidying is due at %v", at)
		}
		r := numbered(1)
		r.Time = time.Now()
		s.Add(r)
		synctest.Wait()
		if at := s.next(); !at.Equal(r.Time.Add(time.Hour)) {
			t.Errorf("tidying is due at %v, with a run of %v", at, r.Time)
		}
		shut(t, s)
	})
}

// found reports which files of the history have text in them. Reading them ends
// SQLite's locks in this process, which does not matter with one writer.
func found(t *testing.T, s *Store, text string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(s.cfg.Path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

func TestRemovedRunsLeaveTheDisk(t *testing.T) {
	secret := strings.Repeat("secret", 2000)
	for name, remove := range map[string]func(*testing.T, *Store, string){
		"deleted": func(t *testing.T, s *Store, id string) {
			if err := s.Delete(t.Context(), Scope{All: true}, id); err != nil {
				t.Fatal(err)
			}
		},
		"pruned": func(t *testing.T, s *Store, _ string) {
			for i := range 20 {
				s.Add(numbered(100 + i))
			}
			flush(t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, Config{MaxRuns: 20})
				for i := range 20 {
					s.Add(numbered(i))
				}
				r := numbered(50)
				r.Time = epoch.Add(-time.Second)
				r.Program, r.Code = []byte(secret), secret
				s = reopen(t, s, func(c *Config) { c.MaxRuns = 21 })
				s.Add(r)
				s = reopen(t, s, nil)
				shut(t, s)
				if len(found(t, s, "secret")) == 0 {
					t.Fatal("the run was never on the disk")
				}
				s = open(t, s.cfg)
				remove(t, s, r.ID)
				time.Sleep(tidyDelay + time.Second)
				synctest.Wait()
				if got := found(t, s, "secret"); len(got) > 0 {
					t.Errorf("a minute later it is in %v", got)
				}
				shut(t, s)
			})
		})
	}
}

// Free pages stay in the file for a while, and hold nothing.
func TestFreedPagesAreZeroed(t *testing.T) {
	s := open(t, Config{})
	r := numbered(1)
	r.Program = bytes.Repeat([]byte("secret"), 10_000)
	s.Add(r)
	if err := s.Delete(t.Context(), Scope{}, r.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.ask(t.Context(), func() error {
		_, err := s.writer.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := found(t, s, "secret"); len(got) > 0 {
		t.Errorf("it is in %v", got)
	}
}

func TestTheFileShrinks(t *testing.T) {
	s := open(t, Config{})
	for i := range 100 {
		r := numbered(i)
		r.Answer = make([]byte, 50_000)
		s.Add(r)
	}
	s = reopen(t, s, nil)
	size := func() int64 {
		info, err := os.Stat(s.cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if _, err := s.DeleteAll(t.Context(), Scope{All: true}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if after := size(); before < 5_000_000 || after > 100_000 {
		t.Errorf("the file had %d bytes and then %d", before, after)
	}
}

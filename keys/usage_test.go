package keys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// left is how many more runs the key may do today.
func left(t *testing.T, r *Ring, secret string) int {
	t.Helper()
	for n := 0; ; n++ {
		release, err := r.Begin(mustKey(t, r, secret), "python", n+1, n+1)
		if err != nil {
			return n
		}
		release(0)
	}
}

func TestTheDaysCountsOutlastARestartButNotTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		secret := mustAdd(t, path, "ci", Limits{Daily: 10})
		old := mustAdd(t, path, "old", Limits{Daily: 10})
		first := mustOpen(t, Config{Path: path})
		mustBegin(t, first, mustKey(t, first, secret), 4)(3)
		mustBegin(t, first, mustKey(t, first, old), 4)(4)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := Remove(path, "old"); err != nil {
			t.Fatal(err)
		}
		anew := mustAdd(t, path, "old", Limits{Daily: 10})
		second := mustOpen(t, Config{Path: path})
		if got := left(t, second, secret); got != 7 {
			t.Errorf("%d runs are left, want 7", got)
		}
		if got := left(t, second, anew); got != 10 {
			t.Errorf("a new key of an old name has %d runs left", got)
		}
		time.Sleep(24 * time.Hour)
		if got := left(t, mustOpen(t, Config{Path: path}), secret); got != 10 {
			t.Errorf("%d runs are left the next day, want 10", got)
		}
	})
}

func TestCountsAreWrittenAWhileAfterTheyChangeAndNotOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		usage := filepath.Join(t.TempDir(), "usage")
		secret := mustAdd(t, path, "ci", Limits{Daily: 10})
		r := mustOpen(t, Config{Path: path, UsagePath: usage})
		time.Sleep(time.Hour)
		if _, err := os.Stat(usage); err == nil {
			t.Error("counts are written though there are none")
		}
		mustBegin(t, r, mustKey(t, r, secret), 2)(2)
		time.Sleep(saveEvery)
		synctest.Wait()
		u, err := readUsage(usage)
		if err != nil || len(u.Counts) != 1 || u.Counts[0].Runs != 2 {
			t.Fatalf("got %+v, %v", u, err)
		}
		// The release may have asked for one more write, of nothing new.
		time.Sleep(saveEvery)
		synctest.Wait()
		if err := os.Remove(usage); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(usage); err == nil {
			t.Error("counts are written though they did not change")
		}
	})
}

func TestCountsThatCannotBeReadStartAnewWithALine(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"missing":         {"", "there is no file of them"},
		"broken":          {"{", "not what preheat writes"},
		"another version": {`{"version":2,"day":"","counts":[]}`, "version 2"},
		"negative":        {`{"version":1,"day":"","counts":[{"name":"ci","sha256":` + aHash + `,"runs":-1}]}`, "is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			path, log := tempPath(t), &logs{}
			secret := mustAdd(t, path, "ci", Limits{Daily: 2})
			if c.content != "" {
				write(t, path+".usage", c.content)
			}
			r := mustOpen(t, Config{Path: path, Logger: log.logger()})
			if log.count("start at zero") != 1 || log.count(c.want) != 1 {
				t.Errorf("the log does not say %q", c.want)
			}
			if got := left(t, r, secret); got != 2 {
				t.Errorf("%d runs are left", got)
			}
		})
	}
}

func TestCountsThatCannotBeWrittenAreToldOfOnceAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, log := tempPath(t), &logs{}
		folder := filepath.Join(t.TempDir(), "later")
		secret := mustAdd(t, path, "ci", Limits{})
		r, err := Open(Config{Path: path, UsagePath: filepath.Join(folder, "usage"), Logger: log.logger()})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			mustBegin(t, r, mustKey(t, r, secret), 1)(1)
			time.Sleep(2 * saveEvery)
		}
		if got := log.count("were not saved"); got != 1 {
			t.Errorf("logged %d times", got)
		}
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), folder) {
			t.Errorf("Close returns %v", err)
		}
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if u, err := readUsage(filepath.Join(folder, "usage")); err != nil || u.Counts[0].Runs != 3 {
			t.Errorf("got %+v, %v", u, err)
		}
	})
}

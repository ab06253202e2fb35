package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeysAreAddedListedAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "keys.json")
	if keys, err := List(path); keys != nil || err != nil {
		t.Fatalf("without a file: %v, %v", keys, err)
	}
	limits := Limits{Rate: 0.5, Burst: 2, Concurrent: 3, Daily: 4, Languages: []string{"node"}, Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
	secret := mustAdd(t, path, "ci", limits)
	mustAdd(t, path, "judge", Limits{})
	if !strings.HasPrefix(secret, Prefix) || len(secret) < len(Prefix)+26 { // 26 characters of base 32 are 130 bits
		t.Errorf("the secret %q has fewer than 128 bits", secret)
	}
	keys, err := List(path)
	if err != nil || len(keys) != 2 || keys[1].Name != "judge" {
		t.Fatalf("got %v, %v", keys, err)
	}
	if time.Since(keys[0].Created).Abs() > time.Minute {
		t.Errorf("created at %s", keys[0].Created)
	}
	want := Key{Name: "ci", Hash: hashOf(secret), Created: keys[0].Created, Limits: limits}
	if diff := cmp.Diff(want, keys[0]); diff != "" {
		t.Error(diff)
	}
	if _, err := Add(path, "ci", Limits{}); !errors.Is(err, ErrExists) {
		t.Errorf("a second key of the name: %v", err)
	}
	if err := Remove(path, "ci"); err != nil {
		t.Error(err)
	}
	if err := Remove(path, "ci"); !errors.Is(err, ErrNoKey) {
		t.Errorf("removed twice: %v", err)
	}
	if keys, err := List(path); err != nil || len(keys) != 1 || keys[0].Name != "judge" {
		t.Errorf("left: %v, %v", keys, err)
	}
}

func TestTheFileIsForItsOwnerOnlyAndNothingElseIsLeft(t *testing.T) {
	path := tempPath(t)
	mustAdd(t, path, "ci", Limits{})
	if _, err := Add(path, "not a name", Limits{}); err == nil {
		t.Error("a bad name is accepted")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || e.Name() != "keys.json" && e.Name() != "keys.json.lock" {
			t.Errorf("%s with mode %o", e.Name(), info.Mode())
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := List(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("others may read it: %v", err)
	}
}

func TestAFileThatRootChangesStaysItsOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	path := tempPath(t)
	mustAdd(t, path, "ci", Limits{})
	if err := os.Chown(path, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, path, "judge", Limits{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sys := fmt.Sprintf("%+v", info.Sys()); !strings.Contains(sys, "Uid:12345 Gid:12346") {
		t.Error(sys)
	}
}

func TestNamesAndLimitsThatCannotWorkAreRefused(t *testing.T) {
	path := tempPath(t)
	for _, name := range []string{"", "a b", "ä", "a/b", "a\n", strings.Repeat("a", 65)} {
		if _, err := Add(path, name, Limits{}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	for want, l := range map[string]Limits{
		"the rate must":                     {Rate: -1},
		"the rate must be 0":                {Rate: math.NaN()},
		"the rate must be 0, or from 0.001": {Rate: 0.0001},
		"to 1e+06 runs a second":            {Rate: math.Inf(1)},
		"the burst must":                    {Rate: 1, Burst: -1},
		"a burst needs a rate":              {Burst: 1},
		"runs at once must":                 {Concurrent: -1},
		"runs a day must":                   {Daily: MaxCount + 1},
		"at most 64 languages":              {Languages: make([]string, MaxLanguages+1)},
		`"" is not the name of a language`:  {Languages: []string{""}},
	} {
		if _, err := Add(path, "ci", l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if keys, err := List(path); len(keys) > 0 || err != nil {
		t.Errorf("left: %v, %v", keys, err)
	}
	mustAdd(t, path, strings.Repeat("a", 61)+"._-", Limits{Rate: MinRate, Daily: MaxCount})
}

const aHash = `"00000000000000000000000000000000000000000000000000000000000000ff"`

func row(name, hash string) string {
	return `{"name":"` + name + `","sha256":` + hash + `,"created":"2026-01-01T00:00:00Z"}`
}

func TestABrokenFileIsRefusedByNameAndKept(t *testing.T) {
	whole := func(rows ...string) string {
		return `{"version":1,"keys":[` + strings.Join(rows, ",") + `]}`
	}
	other := strings.Replace(aHash, "ff", "fe", 1)
	many := make([]string, MaxKeys+1)
	for i := range many {
		many[i] = row(fmt.Sprint(i), fmt.Sprintf(`"%064x"`, i+1))
	}
	for name, c := range map[string]struct{ content, want string }{
		"empty":                {``, "not what preheat writes"},
		"not JSON":             {`keys`, "not what preheat writes"},
		"cut off":              {whole(row("a", aHash))[:40], "not what preheat writes"},
		"null":                 {`null`, "version 0"},
		"another version":      {`{"version":2,"keys":[]}`, "version 2"},
		"something behind it":  {whole() + `{}`, "goes on after its end"},
		"an unknown field":     {`{"version":1,"keys":[],"x":1}`, `unknown field "x"`},
		"an unknown limit":     {whole(`{"name":"a","sha256":` + aHash + `,"limits":{"x":1}}`), `unknown field "x"`},
		"no key":               {whole(`null`), "keys[0]: a key's name must"},
		"a bad name":           {whole(row("a", aHash), row("a b", other)), "keys[1]: a key's name must"},
		"a short hash":         {whole(row("a", `"00ff"`)), "64 hexadecimal digits"},
		"a hash that is none":  {whole(row("a", strings.Replace(aHash, "ff", "xx", 1))), "64 hexadecimal digits"},
		"no hash":              {whole(`{"name":"a","created":"2026-01-01T00:00:00Z"}`), `"a" has no hash`},
		"no time of creation":  {whole(`{"name":"a","sha256":` + aHash + `}`), `"a" has no time`},
		"a bad limit":          {whole(`{"name":"a","sha256":` + aHash + `,"created":"2026-01-01T00:00:00Z","limits":{"daily":-1}}`), `"a": the number of runs a day`},
		"a name given twice":   {whole(row("a", aHash), row("a", other)), `"a" is given twice`},
		"a hash given twice":   {whole(row("a", aHash), row("b", aHash)), `"b" is given twice`},
		"more keys than may":   {whole(many...), "more than 10000 keys"},
		"more bytes than may":  {whole() + strings.Repeat(" ", MaxFileBytes), "larger than 8388608 bytes"},
		"nothing wrong but it": {whole(row("a", aHash)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempPath(t)
			write(t, path, c.content)
			_, err := List(path)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := Open(Config{Path: path}); err == nil {
				t.Error("a ring opens with it")
			}
			if _, err := Add(path, "b", Limits{}); err == nil {
				t.Error("a key is added to it")
			}
			if kept, _ := os.ReadFile(path); string(kept) != c.content {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := List(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestAFileWithAsManyKeysAsMayBeCanBeReadAndTakesNoMore(t *testing.T) {
	path := tempPath(t)
	full(t, path, MaxKeys)
	if keys, err := List(path); len(keys) != MaxKeys || err != nil {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	if _, err := Add(path, "one-more", Limits{}); err == nil || !strings.Contains(err.Error(), "more than 10000 keys") {
		t.Errorf("got %v", err)
	}
}

// full writes a file of n keys, whose secrets are their names.
func full(t testing.TB, path string, n int) {
	t.Helper()
	keys := make([]Key, n)
	for i := range keys {
		name := fmt.Sprintf("key-%d", i)
		keys[i] = Key{Name: name, Hash: hashOf(name), Created: noon, Limits: Limits{Rate: 10.5, Burst: 100, Concurrent: 100, Daily: 100_000, Languages: []string{"python", "node"}, Expires: noon.AddDate(100, 0, 0)}}
	}
	data, err := json.MarshalIndent(file{version, keys}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(data))
}

func TestProcessesThatAddAtOnceLoseNothingAndReadersSeeWholeFiles(t *testing.T) {
	path := tempPath(t)
	const processes = 4
	running := make([]*exec.Cmd, processes)
	for i := range running {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), envAdd+"="+path)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running[i] = c
	}
	var adding sync.WaitGroup
	for _, c := range running {
		adding.Go(func() {
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	added := make(chan struct{})
	go func() { adding.Wait(); close(added) }()
	for over := false; !over; {
		select {
		case <-added:
			over = true
		default:
		}
		if _, err := List(path); err != nil {
			t.Fatal(err)
		}
	}
	if keys, err := List(path); len(keys) != processes*addsByOne || err != nil {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"keys":[` + row("a", aHash) + `]}`))
	f.Add([]byte(`{"version":1,"keys":[{"name":"a","sha256":` + aHash + `,"created":"2026-01-01T00:00:00Z","limits":{"rate":1e5,"languages":["node"],"expires":"2027-01-01T00:00:00Z"}}]}`))
	f.Add([]byte(`{"version":1,"keys":null}`))
	f.Add([]byte(`[]{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := decode(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(file{version, keys})
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		twice, err := decode(again)
		if err != nil || len(twice) != len(keys) {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		for i, k := range keys {
			if !validName.MatchString(k.Name) || k.Hash != twice[i].Hash || k.Limits.Validate() != nil {
				t.Errorf("%+v was accepted", k)
			}
		}
	})
}

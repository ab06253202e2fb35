package keys

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithoutKeysNoneIsRequiredAndNoneIsKnown(t *testing.T) {
	r := mustOpen(t, Config{Path: tempPath(t)})
	if r.Required() {
		t.Error("a key is required")
	}
	if _, err := r.Authenticate(""); reasonOf(err) != Unknown {
		t.Errorf("got %v", err)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("a ring opens without a path")
	}
}

func TestOnlyTheSecretItselfIsKnown(t *testing.T) {
	path := tempPath(t)
	secret, other := mustAdd(t, path, "ci", Limits{}), mustAdd(t, path, "judge", Limits{})
	r := mustOpen(t, Config{Path: path})
	if !r.Required() {
		t.Error("no key is required")
	}
	if k, err := r.Authenticate(other); err != nil || k.Name != "judge" {
		t.Errorf("got %v, %v", k, err)
	}
	hash, _ := hashOf(secret).MarshalText()
	for _, wrong := range []string{"", Prefix, secret[:len(secret)-1], secret + "A", strings.ToLower(secret), secret[len(Prefix):], string(hash), "ci"} {
		if k, err := r.Authenticate(wrong); k != nil || reasonOf(err) != Unknown {
			t.Errorf("%q: %v, %v", wrong, k, err)
		}
	}
	if got := r.Stats().Unknown; got != 8 {
		t.Errorf("%d are counted", got)
	}
}

func TestHashesOfOnePrefixAreToldApartInConstantTime(t *testing.T) {
	a, b := Hash{0: 7, 31: 1}, Hash{0: 7, 31: 2}
	r := &Ring{}
	r.install([]Key{{Name: "a", Hash: a}, {Name: "b", Hash: b}})
	if r.find(a).key.Name != "a" || r.find(b).key.Name != "b" || r.find(Hash{0: 7}) != nil {
		t.Error("a hash was taken for another")
	}
	source, err := parser.ParseFile(token.NewFileSet(), "ring.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	used := false
	for _, d := range source.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "find" {
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				used = used || ok && s.Sel.Name == "ConstantTimeCompare"
				return true
			})
		}
	}
	if !used {
		t.Error("find does not compare in constant time")
	}
}

func TestAnExpiredKeyIsRefusedBeforeAndAfterItIsAuthenticated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		secret := mustAdd(t, path, "ci", Limits{Expires: time.Now().Add(time.Hour)})
		r := mustOpen(t, Config{Path: path})
		k := mustKey(t, r, secret)
		time.Sleep(time.Hour)
		if _, err := r.Authenticate(secret); reasonOf(err) != Expired {
			t.Errorf("authenticated: %v", err)
		}
		if _, err := r.Begin(k, "python", 1, 1); reasonOf(err) != Expired {
			t.Errorf("begun: %v", err)
		}
	})
}

func TestARunningServerSeesKeysThatAreAddedAndRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, log := tempPath(t), &logs{}
		r := mustOpen(t, Config{Path: path, Logger: log.logger()})
		secret := mustAdd(t, path, "ci", Limits{})
		if time.Sleep(lookEvery); !r.Required() {
			t.Fatal("the first key is not seen")
		}
		k := mustKey(t, r, secret)
		release := mustBegin(t, r, k, 1)
		other := mustAdd(t, path, "judge", Limits{})
		time.Sleep(lookEvery)
		mustKey(t, r, other)
		if s := r.Stats(); len(s.Keys) != 2 || s.Keys[0].Running != 1 {
			t.Errorf("the run under way was forgotten: %+v", s)
		}
		for _, name := range []string{"ci", "judge"} {
			if err := Remove(path, name); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Authenticate(secret); err != nil {
			t.Errorf("the file was looked at again at once: %v", err)
		}
		time.Sleep(lookEvery)
		if _, err := r.Authenticate(secret); reasonOf(err) != Unknown {
			t.Errorf("a removed key: %v", err)
		}
		if _, err := r.Begin(k, "python", 1, 1); reasonOf(err) != Unknown {
			t.Errorf("a run of a removed key: %v", err)
		}
		release(1)
		if !r.Required() {
			t.Error("the server is open since its last key was removed")
		}
		if got := log.count("read again"); got != 3 {
			t.Errorf("%d reloads are logged", got)
		}
	})
}

func TestAFileThatIsGoneLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		secret := mustAdd(t, path, "ci", Limits{})
		r := mustOpen(t, Config{Path: path})
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		if _, err := r.Authenticate(secret); reasonOf(err) != Unknown || !r.Required() {
			t.Errorf("got %v, required %v", err, r.Required())
		}
	})
}

func TestABrokenFileKeepsTheKeysAndIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, log := tempPath(t), &logs{}
		secret := mustAdd(t, path, "ci", Limits{Daily: 1})
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, Config{Path: path, Logger: log.logger()})
		mustBegin(t, r, mustKey(t, r, secret), 1)(1)
		for range 2 {
			write(t, path, "{")
			for range 3 {
				time.Sleep(lookEvery)
				mustKey(t, r, secret)
			}
			if err := r.Reload(); err == nil {
				t.Error("Reload takes it")
			}
			write(t, path, string(good))
			time.Sleep(lookEvery)
			if _, err := r.Begin(mustKey(t, r, secret), "python", 1, 1); reasonOf(err) != Daily {
				t.Errorf("the count is lost: %v", err)
			}
		}
		if got := log.count("stay as they were"); got != 2 {
			t.Errorf("two breaks are logged %d times", got)
		}
	})
}

func TestAFileThatTurnsUpAndCannotBeReadLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tempPath(t)
		r := mustOpen(t, Config{Path: path})
		mustAdd(t, path, "ci", Limits{})
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if time.Sleep(lookEvery); !r.Required() {
			t.Error("the server stays open")
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		if r.Required(); len(r.Stats().Keys) != 1 {
			t.Error("the file is not read though its mode was put right")
		}
	})
}

func TestLimitsThatAreEditedCountFromTheNextRunOn(t *testing.T) {
	path := tempPath(t)
	secret := mustAdd(t, path, "ci", Limits{Concurrent: 1})
	r := mustOpen(t, Config{Path: path})
	k := mustKey(t, r, secret)
	defer mustBegin(t, r, k, 1)(1)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(data), `"concurrent": 1`, `"concurrent": 2`, 1))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	mustBegin(t, r, k, 1)(1)
}

func TestReleaseGivesBackOnceWhatWasTaken(t *testing.T) {
	path := tempPath(t)
	secret := mustAdd(t, path, "ci", Limits{Concurrent: 3, Daily: 4})
	r := mustOpen(t, Config{Path: path})
	k := mustKey(t, r, secret)
	release := mustBegin(t, r, k, 3)
	if _, err := r.Begin(k, "python", 1, 1); reasonOf(err) != Concurrent {
		t.Errorf("a fourth run: %v", err)
	}
	release(1)
	release(0)
	mustBegin(t, r, k, 3)(7)
	if _, err := r.Begin(k, "python", 1, 1); reasonOf(err) != Daily {
		t.Errorf("a fifth run of the day: %v", err)
	}
	want := Stats{Keys: []KeyStats{{Name: "ci", Admitted: 6, Refused: map[Reason]uint64{Concurrent: 1, Daily: 1}}}}
	if got := r.Stats(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestManyAtOnceGetWhatTheLimitsAllowAndNoMore(t *testing.T) {
	path := tempPath(t)
	secret := mustAdd(t, path, "ci", Limits{Concurrent: 4, Daily: 100})
	r := mustOpen(t, Config{Path: path})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				k, err := r.Authenticate(secret)
				if err != nil {
					t.Error(err)
					return
				}
				if release, err := r.Begin(k, "python", 1, 1); err == nil {
					release(1)
				}
				if s := r.Stats().Keys[0]; s.Running > 4 {
					t.Errorf("%d runs at once", s.Running)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := r.Reload(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if s := r.Stats().Keys[0]; s.Running != 0 || s.Admitted != 100 {
		t.Errorf("got %+v", s)
	}
}

func TestNothingOfASecretIsInErrorsLogsOrFiles(t *testing.T) {
	path, log := tempPath(t), &logs{}
	secret := mustAdd(t, path, "ci", Limits{Concurrent: 1, Languages: []string{"python"}})
	r := mustOpen(t, Config{Path: path, Logger: log.logger()})
	var texts []string
	keep := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
			return
		}
		texts = append(texts, err.Error())
	}
	k := mustKey(t, r, secret)
	defer mustBegin(t, r, k, 1)(1)
	_, err := r.Begin(k, "python", 1, 1)
	keep(err)
	_, err = r.Begin(k, "node", 1, 1)
	keep(err)
	_, err = r.Authenticate(secret + "x")
	keep(err)
	_, err = Add(path, "ci", Limits{})
	keep(err)
	for _, file := range []string{path, path + ".lock"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	write(t, path, `{"version":1,"keys":[`+row("ci", `"`+secret+`"`)+`]}`) // in place of the hash
	keep(r.Reload())
	_, err = Open(Config{Path: path})
	keep(err)
	if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, secret[len(Prefix):]) }) {
		t.Errorf("the secret is in %q", texts)
	}
	if log.count("") < 2 || log.count(secret[len(Prefix):]) > 0 {
		t.Error("the log is empty, or has the secret")
	}
}

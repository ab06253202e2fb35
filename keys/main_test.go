package keys

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// envAdd makes the test binary add keys to the file it names, and end.
const (
	envAdd    = "PREHEAT_TEST_KEYS_ADD"
	addsByOne = 8
)

func TestMain(m *testing.M) {
	if path := os.Getenv(envAdd); path != "" {
		for i := range addsByOne {
			if _, err := Add(path, fmt.Sprintf("%d-%d", os.Getpid(), i), Limits{}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.json") }

func mustAdd(t testing.TB, path, name string, l Limits) (secret string) {
	t.Helper()
	secret, err := Add(path, name, l)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func mustOpen(t testing.TB, cfg Config) *Ring {
	t.Helper()
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func mustKey(t testing.TB, r *Ring, secret string) *Key {
	t.Helper()
	k, err := r.Authenticate(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustBegin(t testing.TB, r *Ring, k *Key, n int) (release func(ran int)) {
	t.Helper()
	release, err := r.Begin(k, "python", n, n)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func reasonOf(err error) Reason {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// logs keeps what is logged.
type logs struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logs) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

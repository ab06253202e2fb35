package sandboxtest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

const (
	// patience bounds what should happen at once, on a machine that has a lot
	// else to do.
	patience = 30 * time.Second

	// deadline is the time-out of programs that are meant to reach it, and
	// tardiness how many times as long their run may take.
	deadline  = 2 * time.Second
	tardiness = 4
)

// Subject is a driver under test.
type Subject struct {
	// Driver makes the driver. The suite calls it once and closes what it
	// returned.
	Driver   func(t *testing.T) sandbox.Driver
	Language sandbox.Language
	Programs Programs

	// Live, if set, counts the sandboxes that the engine has; it must be 0 when
	// the suite begins and ends.
	Live func() int

	// Resizes says that the engine can change a sandbox's memory limit.
	Resizes bool

	// Kill, if set, ends an idle sandbox behind the driver's back.
	Kill func(t *testing.T, id string)
}

// Suite tests what package sandbox asks of a driver. Its tests run one after
// the other.
func Suite(t *testing.T, subject Subject) {
	s := &suite{Subject: subject, driver: subject.Driver(t)}
	t.Cleanup(func() {
		if err := s.driver.Close(); err != nil {
			t.Errorf("closing the driver: %v", err)
		}
	})
	s.nothingLives(t)
	for _, group := range [][]obligation{s.programs(), s.files(), s.limits(), s.singleUse(), s.lives()} {
		for _, o := range group {
			t.Run(o.name, o.test)
		}
	}
	s.nothingLives(t)
}

// obligation is one thing that the contract asks.
type obligation struct {
	name string
	test func(t *testing.T)
}

type suite struct {
	Subject
	driver sandbox.Driver
}

func (s *suite) nothingLives(t *testing.T) {
	t.Helper()
	if s.Live == nil {
		return
	}
	if n := s.Live(); n != 0 {
		t.Errorf("the engine has %d sandboxes, want none", n)
	}
}

// launch returns a sandbox that the test's end destroys.
func (s *suite) launch(t *testing.T) sandbox.Sandbox {
	t.Helper()
	sb, err := s.driver.Launch(t.Context(), s.Language)
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	t.Cleanup(func() { destroy(t, sb) })
	return sb
}

func destroy(t *testing.T, sb sandbox.Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := sb.Destroy(ctx); err != nil {
		t.Errorf("Destroy: %v", err)
	}
}

// program gives source as the entry file, with limits that it does not reach.
func (s *suite) program(source string) sandbox.Program {
	return sandbox.Program{
		Files:       []sandbox.File{{Name: s.Language.Entry, Content: []byte(source)}},
		Timeout:     patience,
		OutputBytes: 1 << 20,
	}
}

// outcome is what came of a run.
type outcome struct {
	sandbox.Result
	stdout, stderr string
	took           time.Duration
}

// run gives p to a new sandbox and wants a result.
func (s *suite) run(t *testing.T, p sandbox.Program) outcome {
	t.Helper()
	return runIn(t, s.launch(t), p)
}

func runIn(t *testing.T, sb sandbox.Sandbox, p sandbox.Program) outcome {
	t.Helper()
	out := newRecorder(t)
	start := time.Now()
	result, err := sb.Run(t.Context(), p, out)
	out.returned.Store(true)
	took := time.Since(start)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	stdout, stderr := out.Strings()
	return outcome{result, stdout, stderr, took}
}

// wants reports how an outcome differs from one that was expected.
func (o outcome) wants(t *testing.T, status sandbox.Status, code int, stdout, stderr string) {
	t.Helper()
	if o.Status != status || o.ExitCode != code {
		t.Errorf("ended with %q and exit code %d, want %q and %d", o.Status, o.ExitCode, status, code)
	}
	if o.stdout != stdout {
		t.Errorf("stdout is %s, want %s", shorten(o.stdout), shorten(stdout))
	}
	if o.stderr != stderr {
		t.Errorf("stderr is %s, want %s", shorten(o.stderr), shorten(stderr))
	}
}

// recorder is an Output that fails its test when it is called while another
// call is under way, or after Run has returned.
type recorder struct {
	sandbox.Capture
	t        *testing.T
	first    chan struct{} // closed by the first output
	once     sync.Once
	busy     atomic.Bool
	returned atomic.Bool
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, first: make(chan struct{})}
}

func (r *recorder) Stdout(p []byte) { r.record(p, r.Capture.Stdout) }
func (r *recorder) Stderr(p []byte) { r.record(p, r.Capture.Stderr) }

func (r *recorder) record(p []byte, keep func([]byte)) {
	if r.busy.Swap(true) {
		r.t.Error("two calls of the output at once")
	}
	defer r.busy.Store(false)
	if r.returned.Load() {
		r.t.Errorf("output after Run returned: %s", shorten(string(p)))
	}
	keep(p)
	if len(p) > 0 {
		r.once.Do(func() { close(r.first) })
	}
}

// within waits for done and fails the test when that takes too long.
func within[T any](t *testing.T, done <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-done:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}

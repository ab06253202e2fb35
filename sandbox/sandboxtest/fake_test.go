package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFakeKeepsTheContract(t *testing.T) {
	fake := &Fake{LaunchDelay: time.Millisecond}
	Suite(t, Subject{
		Driver:   func(*testing.T) sandbox.Driver { return fake },
		Language: FakeLanguage("fake"),
		Programs: scripts,
		Live:     fake.Live,
		Resizes:  true,
		Kill: func(t *testing.T, id string) {
			if !fake.Die(id) {
				t.Errorf("there is no sandbox %s", id)
			}
		},
	})
}

// witness is a testing.TB that keeps its failures to itself.
type witness struct {
	testing.TB
	cleanup  func()
	failures []string
}

func (w *witness) Cleanup(f func()) { w.cleanup = f }
func (w *witness) Errorf(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

func TestNewFake(t *testing.T) {
	hello := sandbox.Program{Files: []sandbox.File{{Name: "main.txt"}}, Timeout: time.Second, OutputBytes: 1}
	tests := []struct {
		name string
		use  func(f *Fake, sb sandbox.Sandbox)
		want int
	}{
		{"passes a test that destroys what it launched", func(_ *Fake, sb sandbox.Sandbox) {
			_, _ = sb.Run(t.Context(), hello, &sandbox.Capture{})
			_ = sb.Destroy(t.Context())
		}, 0},
		{"fails a test that leaves a sandbox", func(*Fake, sandbox.Sandbox) {}, 1},
		{"fails a test that leaves a dead sandbox", func(f *Fake, sb sandbox.Sandbox) { f.Die(sb.ID()) }, 1},
		{"fails a test that runs a sandbox twice", func(_ *Fake, sb sandbox.Sandbox) {
			_, _ = sb.Run(t.Context(), hello, &sandbox.Capture{})
			_, _ = sb.Run(t.Context(), hello, &sandbox.Capture{})
			_ = sb.Destroy(t.Context())
		}, 1},
		{"passes a test that runs a sandbox twice on purpose", func(f *Fake, sb sandbox.Sandbox) {
			f.AllowReuse = true
			_, _ = sb.Run(t.Context(), hello, &sandbox.Capture{})
			_, _ = sb.Run(t.Context(), hello, &sandbox.Capture{})
			_ = sb.Destroy(t.Context())
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &witness{}
			f := NewFake(w)
			sb, err := f.Launch(t.Context(), FakeLanguage("fake"))
			if err != nil {
				t.Fatal(err)
			}
			tt.use(f, sb)
			w.cleanup()
			if len(w.failures) != tt.want {
				t.Errorf("failures are %q, want %d", w.failures, tt.want)
			}
		})
	}
}

func TestFakeDoesAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		f := NewFake(t)
		f.LaunchDelay = time.Second
		f.OnDestroy = func(context.Context, string) error { return broken }
		f.OnRun = func(context.Context, sandbox.Program, sandbox.Output) (sandbox.Result, error) {
			return sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: sandbox.ExitKilled}, nil
		}
		start := time.Now()
		sb, err := f.Launch(t.Context(), FakeLanguage("fake"))
		if err != nil || time.Since(start) != time.Second {
			t.Errorf("Launch returned %v after %v", err, time.Since(start))
		}
		result, err := sb.Run(t.Context(), sandbox.Program{Timeout: time.Second}, &sandbox.Capture{})
		if err != nil || result.Status != sandbox.OutOfMemory {
			t.Errorf("Run returned %v and %v", result, err)
		}
		if err := sb.Destroy(t.Context()); !errors.Is(err, broken) || f.Live() != 1 {
			t.Errorf("Destroy returned %v and %d sandboxes live", err, f.Live())
		}
		f.OnDestroy = nil
		if err := sb.Destroy(t.Context()); err != nil || f.Live() != 0 {
			t.Errorf("Destroy returned %v and %d sandboxes live", err, f.Live())
		}
		f.OnLaunch = func(context.Context, sandbox.Language) error { return broken }
		if _, err := f.Launch(t.Context(), FakeLanguage("fake")); !errors.Is(err, broken) {
			t.Errorf("Launch returned %v", err)
		}
		if want := (Count{Launched: 1, PeakLaunching: 1, PeakLive: 1}); f.Count() != want {
			t.Errorf("the count is %+v, want %+v", f.Count(), want)
		}
	})
}

package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// programs are the obligations about programs that end by themselves.
func (s *suite) programs() []obligation {
	return []obligation{
		{"a program's output and success come back", func(t *testing.T) {
			o := s.run(t, s.program(s.Programs.Hello))
			o.wants(t, sandbox.OK, 0, "hello\n", "")
			if o.Truncated {
				t.Error("the result says that output was thrown away")
			}
			if o.Duration <= 0 || o.Duration > o.took {
				t.Errorf("the result says %v, and Run took %v", o.Duration, o.took)
			}
		}},
		{"a program's exit code comes back", func(t *testing.T) {
			s.run(t, s.program(s.Programs.Fail)).wants(t, sandbox.Error, 3, "", "sorry\n")
		}},
		{"stdout and stderr are told apart", func(t *testing.T) {
			s.run(t, s.program(s.Programs.Both)).wants(t, sandbox.OK, 0, "out\n", "err\n")
		}},
		{"stdin reaches the program byte for byte, and ends", func(t *testing.T) {
			p := s.program(s.Programs.Echo)
			p.Stdin = bytes.Repeat([]byte("größe\x00\xff\r\n"), 30_000)
			s.run(t, p).wants(t, sandbox.OK, 0, string(p.Stdin), "")
		}},
		{"a program without stdin reads an empty one", func(t *testing.T) {
			s.run(t, s.program(s.Programs.Echo)).wants(t, sandbox.OK, 0, "", "")
		}},
		{"stdin that nobody reads holds nothing up", func(t *testing.T) {
			p := s.program(s.Programs.Hello)
			p.Stdin = make([]byte, 1<<20)
			s.run(t, p).wants(t, sandbox.OK, 0, "hello\n", "")
		}},
		{"args and env reach the program", func(t *testing.T) {
			p := s.program(s.Programs.Words)
			p.Args = []string{"one", "two words", "-x", `"quoted" $HOME`}
			p.Env = []string{"GREETING=good day = guten Tag"}
			want := strings.Join(p.Args, "\n") + "\ngood day = guten Tag\n"
			s.run(t, p).wants(t, sandbox.OK, 0, want, "")
		}},
		{"a program's other files lie beside it", func(t *testing.T) {
			p := s.program(s.Programs.Note)
			note := strings.Repeat("a note\n", 20_000)
			p.Files = append(p.Files, sandbox.File{Name: "data/note.txt", Content: []byte(note)})
			s.run(t, p).wants(t, sandbox.OK, 0, note, "")
		}},
		{"a child that lives on neither delays the result nor prints after it", s.childrenLiveOn},
		{"one sandbox shows nothing of another", func(t *testing.T) {
			first, second := s.launch(t), s.launch(t)
			runIn(t, first, s.program(s.Programs.Mark)).wants(t, sandbox.OK, 0, "marked\n", "")
			runIn(t, second, s.program(s.Programs.Look)).wants(t, sandbox.OK, 0, "clean\n", "")
			destroy(t, first)
			s.run(t, s.program(s.Programs.Look)).wants(t, sandbox.OK, 0, "clean\n", "")
		}},
	}
}

// files are the obligations about which file is run, and which come back.
func (s *suite) files() []obligation {
	all := sandbox.Collect{Patterns: []string{"out/*.txt"}, MaxFiles: 9, MaxBytes: 1 << 20}
	keep := func(t *testing.T, c sandbox.Collect, omitted int, want ...string) {
		t.Helper()
		p := s.program(s.Programs.Keep)
		p.Collect = c
		o := s.run(t, p)
		o.wants(t, sandbox.OK, 0, "kept\n", "")
		got := make([]string, len(o.Files))
		for i, f := range o.Files {
			got[i] = f.Name + " " + string(f.Content)
		}
		if !slices.Equal(got, want) || o.FilesOmitted != omitted {
			t.Errorf("the files are %q and %d omitted, want %q and %d", got, o.FilesOmitted, want, omitted)
		}
	}
	return []obligation{
		{"another file than the language's can be run", func(t *testing.T) {
			p := s.program(s.Programs.Fail)
			p.Entry = "src/other" + path.Ext(s.Language.Entry)
			p.Files = append(p.Files, sandbox.File{Name: p.Entry, Content: []byte(s.Programs.Words)})
			p.Args, p.Env = []string{"one"}, []string{"GREETING=hello"}
			s.run(t, p).wants(t, sandbox.OK, 0, "one\nhello\n", "")
		}},
		{"files that are asked for come back, sorted", func(t *testing.T) {
			keep(t, all, 0, "out/1.txt one", "out/2.txt two")
		}},
		{"files beyond the limits are counted", func(t *testing.T) {
			few, small := all, all
			few.MaxFiles, small.MaxBytes = 1, 5
			keep(t, few, 1, "out/1.txt one")
			keep(t, small, 1, "out/1.txt one")
		}},
		{"files that are not asked for stay", func(t *testing.T) { keep(t, sandbox.Collect{}, 0) }},
		{"the language's own patterns count where there are limits", func(t *testing.T) {
			whole := s.Language
			defer func() { s.Language = whole }()
			s.Language.Collect = []string{"out/2*"}
			keep(t, sandbox.Collect{MaxFiles: 9, MaxBytes: 9}, 0, "out/2.txt two")
			keep(t, sandbox.Collect{}, 0)
		}},
	}
}

// resizing is the obligation about memory.
func (s *suite) resizing() obligation {
	return obligation{"a program gets the memory that it asks for", func(t *testing.T) {
		p := s.program(s.Programs.Hog)
		o := s.run(t, p)
		o.wants(t, sandbox.OutOfMemory, sandbox.ExitKilled, "", "")
		if o.Resized != 0 {
			t.Errorf("the memory limit was changed in %v", o.Resized)
		}
		p.MemoryBytes = 320 << 20
		o = s.run(t, p)
		o.wants(t, sandbox.OK, 0, "full\n", "")
		if o.Resized <= 0 || o.Resized > o.took {
			t.Errorf("the memory limit was changed in %v, and Run took %v", o.Resized, o.took)
		}
		p.MemoryBytes = s.Language.Limits.MemoryBytes
		if o = s.run(t, p); o.Status != sandbox.OutOfMemory || o.Resized != 0 {
			t.Errorf("with the language's own limit: %+v", o.Result)
		}
	}}
}

func (s *suite) childrenLiveOn(t *testing.T) {
	sb := s.launch(t)
	out := newRecorder(t)
	start := time.Now()
	result, err := sb.Run(t.Context(), s.program(s.Programs.Children), out)
	out.returned.Store(true)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if took := time.Since(start); took > patience/2 {
		t.Errorf("Run took %v", took)
	}
	stdout, _ := out.Strings()
	if result.Status != sandbox.OK || !strings.Contains(stdout, "parent\n") {
		t.Errorf("ended with %q and printed %s", result.Status, shorten(stdout))
	}
	// The child prints ten times a second; the recorder fails the test if one
	// of its lines comes through.
	time.Sleep(500 * time.Millisecond)
}

// limits are the obligations about programs that are ended, or cut short.
func (s *suite) limits() []obligation {
	obligations := []obligation{
		{"a program that computes too long is ended at its deadline", func(t *testing.T) { s.timesOut(t, s.Programs.Spin) }},
		{"a program that sleeps too long is ended at its deadline", func(t *testing.T) { s.timesOut(t, s.Programs.Sleep) }},
		{"output past the limit is thrown away and the program goes on", func(t *testing.T) {
			p := s.program(s.Programs.Big)
			p.OutputBytes = 100_003
			o := s.run(t, p)
			o.wants(t, sandbox.OK, 0, strings.Repeat("0123456789", 20_000)[:p.OutputBytes], "")
			if !o.Truncated {
				t.Error("the result does not say that output was thrown away")
			}
		}},
		{"output that just fits is not truncated", func(t *testing.T) {
			p := s.program(s.Programs.Hello)
			p.OutputBytes = len("hello\n")
			o := s.run(t, p)
			o.wants(t, sandbox.OK, 0, "hello\n", "")
			if o.Truncated {
				t.Error("the result says that output was thrown away")
			}
		}},
		{"stdout and stderr are each kept up to the limit", func(t *testing.T) {
			p := s.program(s.Programs.Both)
			p.OutputBytes = 2
			o := s.run(t, p)
			o.wants(t, sandbox.OK, 0, "ou", "er")
			if !o.Truncated {
				t.Error("the result does not say that output was thrown away")
			}
		}},
		{"a program that floods its output is ended", func(t *testing.T) {
			p := s.program(s.Programs.Flood)
			p.OutputBytes, p.FloodBytes = 1000, 1<<20
			o := s.run(t, p)
			if o.Status != sandbox.OutputLimit || o.ExitCode != sandbox.ExitKilled || !o.Truncated {
				t.Errorf("result is %+v", o.Result)
			}
			if len(o.stdout) != p.OutputBytes {
				t.Errorf("%d bytes were kept, want %d", len(o.stdout), p.OutputBytes)
			}
		}},
	}
	if s.Resizes {
		obligations = append(obligations, s.resizing())
	}
	return obligations
}

// timesOut wants a program that prints "before" to be ended by its time-out.
func (s *suite) timesOut(t *testing.T, source string) {
	p := s.program(source)
	p.Timeout = deadline
	o := s.run(t, p)
	o.wants(t, sandbox.Timeout, sandbox.ExitKilled, "before\n", "")
	if o.took < deadline || o.took > tardiness*deadline {
		t.Errorf("Run took %v, and the deadline was %v", o.took, deadline)
	}
}

// singleUse are the obligations about the one run that a sandbox has.
func (s *suite) singleUse() []obligation {
	return []obligation{
		{"a second run is refused", func(t *testing.T) {
			sb := s.launch(t)
			runIn(t, sb, s.program(s.Programs.Hello))
			s.refused(t, sb, sandbox.ErrUsed)
		}},
		{"of many runs at once exactly one wins", s.oneWins},
		{"a run after Destroy is refused", func(t *testing.T) {
			sb := s.launch(t)
			destroy(t, sb)
			s.refused(t, sb, sandbox.ErrUsed)
		}},
		{"a run whose context ends returns its error", func(t *testing.T) {
			sb := s.launch(t)
			ctx, cancel := context.WithCancel(t.Context())
			done := s.start(t, ctx, sb, s.Programs.Spin)
			cancel()
			if err := within(t, done, "Run after its context ended"); !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v, want context.Canceled", err)
			}
			s.refused(t, sb, sandbox.ErrUsed)
			destroy(t, sb)
		}},
		{"a run whose context has ended uses the sandbox up", func(t *testing.T) {
			sb := s.launch(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := sb.Run(ctx, s.program(s.Programs.Spin), newRecorder(t)); !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v, want context.Canceled", err)
			}
			s.refused(t, sb, sandbox.ErrUsed)
		}},
		{"a run whose sandbox is destroyed returns", func(t *testing.T) {
			sb := s.launch(t)
			done := s.start(t, t.Context(), sb, s.Programs.Spin)
			destroy(t, sb)
			within(t, done, "Run after Destroy")
		}},
	}
}

// start runs a program that prints and goes on, and returns once it has
// printed. The channel receives Run's error.
func (s *suite) start(t *testing.T, ctx context.Context, sb sandbox.Sandbox, source string) <-chan error {
	t.Helper()
	out, done := newRecorder(t), make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		_, err := sb.Run(ctx, s.program(source), out)
		out.returned.Store(true)
		done <- err
	})
	t.Cleanup(func() {
		destroy(t, sb)
		running.Wait()
	})
	within(t, out.first, "output")
	return done
}

func (s *suite) refused(t *testing.T, sb sandbox.Sandbox, want error) {
	t.Helper()
	out := newRecorder(t)
	if _, err := sb.Run(t.Context(), s.program(s.Programs.Hello), out); !errors.Is(err, want) {
		t.Errorf("Run returned %v, want %v", err, want)
	}
	if stdout, stderr := out.Strings(); stdout+stderr != "" {
		t.Errorf("a refused run printed %s", shorten(stdout+stderr))
	}
}

func (s *suite) oneWins(t *testing.T) {
	sb := s.launch(t)
	const runs = 8
	errs := make(chan error, runs)
	var running sync.WaitGroup
	for range runs {
		running.Go(func() {
			_, err := sb.Run(t.Context(), s.program(s.Programs.Hello), newRecorder(t))
			errs <- err
		})
	}
	running.Wait()
	won := 0
	for range runs {
		if err := <-errs; err == nil {
			won++
		} else if !errors.Is(err, sandbox.ErrUsed) {
			t.Errorf("Run returned %v, want ErrUsed", err)
		}
	}
	if won != 1 {
		t.Errorf("%d runs won, want 1", won)
	}
}

// lives are the obligations about how sandboxes come and go.
func (s *suite) lives() []obligation {
	obligations := []obligation{
		{"Check says what the engine is", func(t *testing.T) {
			info, err := s.driver.Check(t.Context())
			if err != nil {
				t.Fatalf("Check: %v", err)
			}
			if info.Name == "" || info.Version == "" || info.CPUs < 1 || info.MemoryBytes < 1 {
				t.Errorf("the engine is not described: %+v", info)
			}
		}},
		{"Reap finds nothing on a clean engine", func(t *testing.T) {
			if n, err := s.driver.Reap(t.Context()); n != 0 || err != nil {
				t.Errorf("Reap returned %d and %v, want 0", n, err)
			}
		}},
		{"a launch whose context has ended leaves nothing", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.driver.Launch(ctx, s.Language); !errors.Is(err, context.Canceled) {
				t.Errorf("Launch returned %v, want context.Canceled", err)
			}
			s.nothingLives(t)
		}},
		{"sandboxes launched at once have different ids", s.differentIDs},
		{"Destroy may be called again, and at once", s.destroyedOften},
	}
	if s.Kill != nil {
		obligations = append(obligations, obligation{"a sandbox that ends while idle is dead and refuses its run", func(t *testing.T) {
			sb := s.launch(t)
			s.Kill(t, sb.ID())
			within(t, sb.Dead(), "Dead after the sandbox ended")
			s.refused(t, sb, sandbox.ErrDead)
			s.refused(t, sb, sandbox.ErrUsed)
		}})
	}
	return obligations
}

func (s *suite) differentIDs(t *testing.T) {
	var first, second sandbox.Sandbox
	var launches sync.WaitGroup
	t.Cleanup(launches.Wait)
	launches.Go(func() { second, _ = s.driver.Launch(t.Context(), s.Language) })
	first = s.launch(t)
	launches.Wait()
	if second == nil {
		t.Fatal("the second launch failed")
	}
	defer destroy(t, second)
	if first.ID() == "" || first.ID() == second.ID() {
		t.Errorf("the ids are %q and %q", first.ID(), second.ID())
	}
}

func (s *suite) destroyedOften(t *testing.T) {
	sb := s.launch(t)
	select {
	case <-sb.Dead():
		t.Fatal("the sandbox is dead before it was destroyed")
	default:
	}
	var destroying sync.WaitGroup
	for range 4 {
		destroying.Go(func() { destroy(t, sb) })
	}
	destroying.Wait()
	destroy(t, sb)
	within(t, sb.Dead(), "Dead after Destroy")
	s.nothingLives(t)
}

// shorten quotes a text for a message.
func shorten(text string) string {
	if len(text) > 200 {
		return fmt.Sprintf("%q… (%d bytes)", text[:200], len(text))
	}
	return fmt.Sprintf("%q", text)
}

// Package sandboxtest has what tests of drivers, and of what stands on them,
// need: [Fake], a driver whose sandboxes live in memory, and [Suite], the
// contract of package sandbox as tests.
//
// Use [NewFake] in tests of a pool or a server. A driver's own test calls
// [Suite] with one of the tables of programs, such as [Python].
package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// RunFunc is what a fake sandbox does with a program. It must return when ctx
// ends; what it returns then does not matter.
type RunFunc func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error)

// Fake is a driver whose sandboxes live in memory. Its zero value is ready to
// use; [NewFake] makes one that watches how it is used. The exported fields are
// set before the first launch and not changed after it.
type Fake struct {
	// LaunchDelay is how long every launch takes.
	LaunchDelay time.Duration

	// OnLaunch is called by every launch, after its delay, and may fail it or
	// hold it up until ctx ends.
	OnLaunch func(ctx context.Context, lang sandbox.Language) error

	// OnRun runs the programs; nil is [Interpret].
	OnRun RunFunc

	// OnDestroy is called by every Destroy of a sandbox that lives, and may
	// fail it.
	OnDestroy func(ctx context.Context, id string) error

	// OnCheck may fail Check.
	OnCheck func(ctx context.Context) error

	// AllowReuse is for tests that give a sandbox a second program on purpose.
	AllowReuse bool

	mu        sync.Mutex // guards what follows
	boxes     []*box     // those that live, in order of launch
	launching int
	reused    []string // ids of sandboxes that were given a second program
	count     Count
}

// Count is what a fake has seen.
type Count struct {
	Launched      int // sandboxes that became warm
	PeakLaunching int // most launches under way at once
	PeakLive      int // most sandboxes at once, those being launched included
}

// NewFake returns a fake that fails tb at its end when a sandbox was given two
// programs, or was never destroyed.
func NewFake(tb testing.TB) *Fake {
	f := &Fake{}
	tb.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, b := range f.boxes {
			tb.Errorf("the sandbox %s was never destroyed", b.id)
		}
		if f.launching > 0 {
			tb.Errorf("%d launches are still under way", f.launching)
		}
		if len(f.reused) > 0 && !f.AllowReuse {
			tb.Errorf("sandboxes were given a second program: %s", strings.Join(f.reused, ", "))
		}
	})
	return f
}

// Launch returns a warm sandbox after the delay that the fake was told.
func (f *Fake) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	f.mu.Lock()
	f.launching++
	f.count.PeakLaunching = max(f.count.PeakLaunching, f.launching)
	f.count.PeakLive = max(f.count.PeakLive, f.launching+len(f.boxes))
	f.mu.Unlock()

	err := f.warm(ctx, lang)

	f.mu.Lock()
	defer f.mu.Unlock()
	f.launching--
	if err != nil {
		return nil, err
	}
	f.count.Launched++
	b := &box{fake: f, lang: lang, id: fmt.Sprintf("fake-%d", f.count.Launched)}
	b.life, b.end = context.WithCancelCause(context.Background())
	f.boxes = append(f.boxes, b)
	return b, nil
}

func (f *Fake) warm(ctx context.Context, lang sandbox.Language) error {
	if err := pause(ctx, f.LaunchDelay); err != nil {
		return err
	}
	if f.OnLaunch == nil {
		return nil
	}
	return f.OnLaunch(ctx, lang)
}

// Reap finds nothing: a fake's sandboxes do not outlive their process.
func (f *Fake) Reap(ctx context.Context) (int, error) { return 0, ctx.Err() }

// Check describes an engine that does not exist.
func (f *Fake) Check(ctx context.Context) (sandbox.EngineInfo, error) {
	if f.OnCheck != nil {
		if err := f.OnCheck(ctx); err != nil {
			return sandbox.EngineInfo{}, err
		}
	}
	return sandbox.EngineInfo{
		Name: "fake", Version: "1.0", APIVersion: "1.0", CgroupVersion: 2, StorageDriver: "memory",
		Runtimes: []string{"fake"}, Runtime: "fake", CPUs: 2, MemoryBytes: 4 << 30,
	}, ctx.Err()
}

// Close has nothing to end.
func (f *Fake) Close() error { return nil }

// Count returns what the fake has seen so far.
func (f *Fake) Count() Count {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// Live returns how many sandboxes exist, those being launched included.
func (f *Fake) Live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.launching + len(f.boxes)
}

// IDs returns the ids of the sandboxes that exist, oldest first.
func (f *Fake) IDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]string, len(f.boxes))
	for i, b := range f.boxes {
		ids[i] = b.id
	}
	return ids
}

// Die ends the sandbox as a crash would and reports whether it existed. It
// must still be destroyed.
func (f *Fake) Die(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.boxes, func(b *box) bool { return b.id == id })
	if i < 0 {
		return false
	}
	f.boxes[i].end(errDied)
	return true
}

// Why a run, or a sandbox, ended before its program did.
var (
	errTimeout   = errors.New("the program's time is up")
	errFlood     = errors.New("the program printed too much")
	errDied      = errors.New("the sandbox died")
	errDestroyed = errors.New("the sandbox was destroyed during the run")
)

// endings are the statuses of programs that were ended.
var endings = map[error]sandbox.Status{
	errTimeout: sandbox.Timeout,
	errFlood:   sandbox.OutputLimit,
	errDied:    sandbox.Error,
}

// box is a fake sandbox.
type box struct {
	fake *Fake
	lang sandbox.Language
	id   string
	life context.Context // its cause says how the sandbox ended
	end  context.CancelCauseFunc

	used, destroyed bool // guarded by fake.mu
}

func (b *box) ID() string            { return b.id }
func (b *box) Dead() <-chan struct{} { return b.life.Done() }

func (b *box) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	if err := b.claim(); err != nil {
		return sandbox.Result{}, err
	}
	start := time.Now()
	runCtx, kill := context.WithCancelCause(ctx)
	defer kill(nil)
	defer context.AfterFunc(b.life, func() { kill(context.Cause(b.life)) })()
	timed, cancel := context.WithTimeoutCause(runCtx, p.Timeout, errTimeout)
	defer cancel()

	p.Collect = p.Collect.With(b.lang.Collect)
	run := b.fake.OnRun
	if run == nil {
		run = Interpret
	}
	limited := &limiter{out: out, keep: p.OutputBytes, flood: p.FloodBytes, exceeded: func() { kill(errFlood) }}
	result, err := run(timed, p, limited)
	truncated := limited.close()

	if cause := context.Cause(timed); cause != nil {
		result, err = sandbox.Result{Status: endings[cause], ExitCode: sandbox.ExitKilled}, nil
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case result.Status == "":
			err = cause
		}
	}
	if err != nil {
		return sandbox.Result{}, err
	}
	if p.MemoryBytes != 0 && p.MemoryBytes != b.lang.Limits.MemoryBytes {
		result.Resized = time.Nanosecond
	}
	result.Truncated = truncated
	result.Duration = time.Since(start)
	return result, nil
}

// claim takes the sandbox's one run.
func (b *box) claim() error {
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	if b.used {
		b.fake.reused = append(b.fake.reused, b.id)
		return sandbox.ErrUsed
	}
	b.used = true
	switch {
	case b.destroyed:
		return sandbox.ErrUsed
	case b.life.Err() != nil:
		return sandbox.ErrDead
	}
	return nil
}

func (b *box) Destroy(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.fake.mu.Lock()
	gone := b.destroyed
	b.fake.mu.Unlock()
	if !gone && b.fake.OnDestroy != nil {
		if err := b.fake.OnDestroy(ctx, b.id); err != nil {
			return err
		}
	}
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	b.destroyed = true
	b.end(errDestroyed)
	b.fake.boxes = slices.DeleteFunc(b.fake.boxes, func(other *box) bool { return other == b })
	return nil
}

// limiter passes on what a program prints, up to its limits.
type limiter struct {
	out      sandbox.Output
	exceeded func() // called when more than flood bytes were printed

	mu             sync.Mutex // guards what follows, and serializes calls of out
	keep           int
	flood          int64 // zero is no bound
	printed        int64
	stdout, stderr int // bytes kept
	truncated      bool
	closed         bool
}

func (l *limiter) Stdout(p []byte) { l.print(p, &l.stdout, l.out.Stdout) }
func (l *limiter) Stderr(p []byte) { l.print(p, &l.stderr, l.out.Stderr) }

func (l *limiter) print(p []byte, kept *int, write func([]byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.printed += int64(len(p))
	n := min(len(p), l.keep-*kept)
	l.truncated = l.truncated || n < len(p)
	if n > 0 {
		*kept += n
		write(p[:n])
	}
	if l.flood > 0 && l.printed > l.flood {
		l.closed = true
		l.exceeded()
	}
}

// close stops the output and reports whether some of it was thrown away.
func (l *limiter) close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.truncated
}

// pause waits for d, or until ctx ends and returns its error.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package attacks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
)

const (
	// controlTime is what an attack has in the control.
	controlTime = time.Minute

	// keptBytes is what is kept of each of stdout and stderr.
	keptBytes = 64 << 10

	// cleanUp bounds the removal of a sandbox.
	cleanUp = 30 * time.Second
)

// Launcher makes the containers in which attacks are tried: a sandbox.Driver, or
// a control.
type Launcher interface {
	Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error)
}

// Seen is how an attempt ended.
type Seen struct {
	Outcome
	Before Outcome // of the first of two programs
	Stderr string  // for people
}

// Attempt carries a out in new sandboxes of lang, bounded as a sandbox is. The
// program is told address, at which the host listens for TCP and UDP.
func (a Attack) Attempt(ctx context.Context, l Launcher, lang sandbox.Language, address string) (Seen, error) {
	return a.attempt(ctx, l, lang, sandbox.Program{Args: []string{address}, Timeout: a.Timeout, FloodBytes: a.FloodBytes})
}

// AttemptControl is Attempt in a control.
func (a Attack) AttemptControl(ctx context.Context, l Launcher, lang sandbox.Language, address string) (Seen, error) {
	return a.attempt(ctx, l, lang, sandbox.Program{Args: []string{address}, Timeout: controlTime})
}

func (a Attack) attempt(ctx context.Context, l Launcher, lang sandbox.Language, p sandbox.Program) (seen Seen, err error) {
	p.OutputBytes = keptBytes
	p.Files = a.Files
	first, err := l.Launch(ctx, lang)
	if err != nil {
		return Seen{}, err
	}
	defer func() { err = errors.Join(err, destroy(ctx, first)) }()
	seen, err = a.run(ctx, first, p)
	if err != nil || a.Look == nil {
		return seen, err
	}
	// The second looks while the first is not removed yet, which is the harder case.
	second, err := l.Launch(ctx, lang)
	if err != nil {
		return Seen{}, err
	}
	defer func() { err = errors.Join(err, destroy(ctx, second)) }()
	p.Files = a.Look
	before := seen.Outcome
	seen, err = a.run(ctx, second, p)
	seen.Before = before
	return seen, err
}

func (a Attack) run(ctx context.Context, s sandbox.Sandbox, p sandbox.Program) (Seen, error) {
	var out sandbox.Capture
	res, err := s.Run(ctx, p, &out)
	if err != nil {
		return Seen{}, err
	}
	stdout, stderr := out.Strings()
	verdict := stdout
	if a.OnStderr {
		verdict = stderr
	}
	return Seen{
		Outcome: Outcome{Status: res.Status, ExitCode: res.ExitCode, Verdict: strings.TrimSuffix(verdict, "\n")},
		Stderr:  stderr,
	}, nil
}

// neighbours are ordinary programs, which all print the same.
var neighbours = map[string]sandbox.File{
	"python": {Name: "main.py", Content: []byte("print(sum(range(1000)))")},
	"node":   {Name: "main.js", Content: []byte("console.log(999 * 1000 / 2)")},
}

const neighboursAnswer = "499500\n"

// Neighbour runs an ordinary program in a sandbox of its own, once start is
// closed, and returns an error unless the answer is right and comes within bound.
func Neighbour(ctx context.Context, l Launcher, lang sandbox.Language, start <-chan struct{}, bound time.Duration) (err error) {
	s, err := l.Launch(ctx, lang)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, destroy(ctx, s)) }()
	select {
	case <-start:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var out sandbox.Capture
	res, err := s.Run(ctx, sandbox.Program{Files: []sandbox.File{neighbours[lang.Name]}, Timeout: bound, OutputBytes: keptBytes}, &out)
	if err != nil {
		return err
	}
	if stdout, stderr := out.Strings(); res.Status != sandbox.OK || stdout != neighboursAnswer {
		return fmt.Errorf("the neighbour's run is %s after %s: stdout %q, stderr %q", res.Status, res.Duration, stdout, stderr)
	}
	return nil
}

func destroy(ctx context.Context, s sandbox.Sandbox) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	return s.Destroy(ctx)
}

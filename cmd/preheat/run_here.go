package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/docker/go-units"

	"github.com/preheat/preheat/sandbox"
)

// allOutput is as much as the other bounds let through.
const allOutput = 1 << 30

var errLeft = errors.New("the sandbox could not be destroyed")

// runHere runs j in a sandbox that this process launches and destroys.
func (o *options) runHere(ctx context.Context, j job, out sandbox.Output, progress io.Writer) (done outcome, err error) {
	p := o.program(j)
	if err := p.Validate(); err != nil {
		return done, usageError{err}
	}
	k, err := o.kind(ctx, os.Getenv)
	if err != nil {
		return done, err
	}
	engine, err := openEngine(k, ownInstance("run"), nil, nil)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	if _, err := engine.check(ctx); err != nil {
		return done, err
	}
	lang, err := o.launchable(ctx, engine, j.language, progress)
	if err != nil {
		return done, err
	}
	// What runs that were killed have left is in nobody's way.
	if _, err := engine.Reap(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(progress, "preheat: an earlier sandbox is still there:", err)
	}
	s, err := engine.Launch(ctx, lang)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, destroy(ctx, s)) }()
	res, err := s.Run(ctx, p, out)
	return outcome{res, sentence(res.Status, p, lang.Limits)}, err
}

// sandboxLimits fits what counts as memory into it: people ask for less memory
// without a thought of the work folder.
func (o *options) sandboxLimits() (sandbox.Limits, error) {
	l := o.limits
	l.WorkBytes = min(l.WorkBytes, l.MemoryBytes)
	l.ShmBytes = min(l.ShmBytes, l.MemoryBytes)
	return l, l.Validate()
}

// program is the job's with its limits.
func (o *options) program(j job) sandbox.Program {
	p := j.program
	p.MemoryBytes = 0 // the sandbox is launched with what is asked for
	p.OutputBytes = cmp.Or(p.OutputBytes, allOutput)
	p.FloodBytes = o.floodBytes
	return p
}

// launchable returns the language with its image, which is made if need be, and
// a runtime that the engine has.
func (o *options) launchable(ctx context.Context, engine *engine, name string, progress io.Writer) (sandbox.Language, error) {
	limits, err := o.sandboxLimits()
	if err != nil {
		return sandbox.Language{}, err
	}
	folders, err := selectFolders(o.languageFolders, []string{name})
	if err != nil {
		return sandbox.Language{}, err
	}
	built, err := o.makeImages(ctx, engine, folders, progress)
	if err != nil {
		return sandbox.Language{}, err
	}
	runtime := o.runtime.name(name)
	if _, err := engine.Runtime(ctx, runtime); err != nil {
		return sandbox.Language{}, err
	}
	return language(folders[0], built[0], runtime, limits), nil
}

func destroy(ctx context.Context, s sandbox.Sandbox) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := s.Destroy(ctx); err != nil {
		return fmt.Errorf("%w: %s: %w", errLeft, s.ID(), err)
	}
	return nil
}

// sentence says why preheat ended a program; it is empty where it did not.
func sentence(status sandbox.Status, p sandbox.Program, l sandbox.Limits) string {
	switch status {
	case sandbox.Timeout:
		return fmt.Sprintf("Execution timed out after %s", p.Timeout)
	case sandbox.OutOfMemory:
		return "Out of memory: the limit is " + inUnits(l.MemoryBytes)
	case sandbox.OutputLimit:
		return "Too much output: the limit is " + inUnits(p.FloodBytes)
	}
	return ""
}

func inUnits(bytes int64) string {
	return units.CustomSize("%g %s", float64(bytes), 1024, []string{"bytes", "KiB", "MiB", "GiB"})
}

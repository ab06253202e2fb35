package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/preheat/preheat/metrics"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/images"
)

// driver is what the command asks of one, of whatever kind.
type driver interface {
	sandbox.Driver
	Sandboxes(ctx context.Context) ([]string, error)                   // ids of this instance's
	Runtime(ctx context.Context, name string) (sandbox.Runtime, error) // "" is the default
}

// observe is told of every call of an engine.
type observe = func(operation string, took time.Duration, failed bool)

// kind is a kind of driver, with all that belongs to it.
type kind struct {
	name   string
	words  metrics.Driver
	advice string // what to do where it does not answer, if its errors do not say

	// open returns a driver; observe may be nil.
	open func(instance string, observe observe, log *slog.Logger) (driver, error)

	// builder makes its images, below the data folder if it keeps them itself,
	// until the closer is closed.
	builder func(data string, cfg images.Config) (*images.Builder, io.Closer, error)

	// hold keeps an image from being removed until the closer is closed.
	hold func(images.Image) (io.Closer, error)

	// examine looks at the machine with an operator's eyes. It is told what the
	// engine is, or why it does not answer.
	examine func(context.Context, sandbox.EngineInfo, error) []doctor.Check
}

// kinds are all there are, in the order in which auto tries them.
var kinds = []kind{dockerKind, ociKind}

const autoDriver = "auto"

// driverNames are the values of --driver.
func driverNames() []string {
	names := []string{autoDriver}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// kind is the one that --driver names, or the first that works.
func (o *options) kind(ctx context.Context, getenv func(string) string) (kind, error) {
	if err := o.validateDriver(); err != nil {
		return kind{}, usageError{err}
	}
	return choose(candidates(o.driver, getenv("DOCKER_HOST")), func(k kind) error { return k.probe(ctx) })
}

// candidates are the kinds that may be taken. An Engine that DOCKER_HOST names is
// meant: it may be there to keep programs off this machine.
func candidates(wanted, dockerHost string) []kind {
	if wanted == autoDriver && dockerHost == "" {
		return kinds
	}
	if wanted == autoDriver {
		wanted = dockerKind.name
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return k.name != wanted })
}

// choose returns the first that works. A single one need not: its own error says
// more, where it is used.
func choose(list []kind, works func(kind) error) (kind, error) {
	if len(list) == 1 {
		return list[0], nil
	}
	failed := []error{errors.New("no driver works on this machine")}
	for _, k := range list {
		err := works(k)
		if err == nil {
			return k, nil
		}
		failed = append(failed, err)
	}
	return kind{}, errors.Join(failed...)
}

// ownInstance is the name of one that no server has, nor another process: whoever
// reaps must not take its sandboxes for leftovers.
func ownInstance(what string) string { return fmt.Sprintf("%s/%d/%s", what, os.Getpid(), rand.Text()) }

// probe says why the kind cannot be used here.
func (k kind) probe(ctx context.Context) error {
	e, err := openEngine(k, ownInstance("probe"), nil, nil)
	if err != nil {
		return err
	}
	_, err = e.check(ctx)
	return errors.Join(err, e.Close())
}

// engine is a driver that is open, of its kind.
type engine struct {
	kind
	driver
	held []io.Closer // images; closed with the driver
}

// openEngine returns the engine, which need not answer yet.
func openEngine(k kind, instance string, observe observe, log *slog.Logger) (*engine, error) {
	d, err := k.open(instance, observe, log)
	if err != nil {
		return nil, err
	}
	return &engine{kind: k, driver: d}, nil
}

// check asks the engine what it is, within a few seconds.
func (e *engine) check(ctx context.Context) (sandbox.EngineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := e.Check(ctx)
	if errors.Is(err, sandbox.ErrEngine) && e.advice != "" {
		err = fmt.Errorf("%w\n%s", err, e.advice)
	}
	return info, err
}

// keep keeps images until the engine is closed.
func (e *engine) keep(list []images.Image) error {
	for _, image := range list {
		held, err := e.hold(image)
		if err != nil {
			return err
		}
		e.held = append(e.held, held)
	}
	return nil
}

// Close closes the driver.
func (e *engine) Close() error {
	err := e.driver.Close()
	for _, held := range e.held {
		err = errors.Join(err, held.Close())
	}
	return err
}

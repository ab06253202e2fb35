package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

// Sandbox is one container.
type Sandbox struct {
	driver  *Driver
	lang    sandbox.Language
	id      string
	runtime string // path
	folder  string // of the bundle, with the runtime's state in it
	cgroup  cgroup
	pipes   *pipes      // nil before create
	conn    *agent.Conn // nil before warm

	used      atomic.Bool
	destroyed atomic.Bool
}

var _ sandbox.Sandbox = (*Sandbox)(nil)

// ID is the container's id.
func (s *Sandbox) ID() string { return s.id }

// Dead is closed when the container has ended.
func (s *Sandbox) Dead() <-chan struct{} { return s.conn.Done() }

// Run runs p, as sandbox.Sandbox describes.
func (s *Sandbox) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	if s.destroyed.Load() || s.used.Swap(true) {
		return sandbox.Result{}, sandbox.ErrUsed
	}
	resized, err := s.resize(p.MemoryBytes)
	if err != nil {
		return sandbox.Result{}, err
	}
	before := s.cgroup.usage()
	start := time.Now()
	res, err := s.conn.Run(ctx, p, out)
	switch {
	case errors.Is(err, agent.ErrLost) && s.destroyed.Load():
		return sandbox.Result{}, fmt.Errorf("oci: destroyed while it ran: %w", err)
	case errors.Is(err, agent.ErrProtocol), errors.Is(err, agent.ErrLost):
		// It broke, or was broken; whether by the OOM killer the cgroup knows.
		res, err = sandbox.Result{Status: sandbox.Error, ExitCode: sandbox.ExitKilled, Duration: time.Since(start)}, nil
	}
	if err != nil {
		return res, err
	}
	res.Resized = resized
	res.Usage = s.cgroup.usage()
	res.Usage.CPU -= before.CPU
	if res.Status == sandbox.Error && s.cgroup.oomKills() > 0 {
		res.Status = sandbox.OutOfMemory
	}
	return res, nil
}

// resize gives the sandbox another memory limit, if it is another, and returns
// how long that took.
func (s *Sandbox) resize(memory int64) (time.Duration, error) {
	if memory == 0 || memory == s.lang.Limits.MemoryBytes {
		return 0, nil
	}
	select {
	case <-s.Dead():
		return 0, sandbox.ErrDead
	default:
	}
	start := time.Now()
	done := s.driver.cfg.Observe.call(opUpdate)
	err := s.cgroup.resize(memory)
	done(err)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", sandbox.ErrResize, err)
	}
	return time.Since(start), nil
}

// Destroy kills everything in the sandbox and removes what is left of it, as
// sandbox.Sandbox describes. It needs no runtime: one that is broken, or gone,
// must not keep a sandbox alive.
func (s *Sandbox) Destroy(ctx context.Context) error {
	s.destroyed.Store(true)
	done := s.driver.cfg.Observe.call(opRemove)
	err := s.remove(ctx)
	done(err)
	return err
}

func (s *Sandbox) remove(ctx context.Context) error {
	err := s.cgroup.kill(ctx)
	if s.conn != nil {
		s.conn.Close()
	} else if s.pipes != nil {
		s.pipes.Close()
	}
	if err != nil {
		return err
	}
	if err := s.cgroup.remove(ctx); err != nil {
		return err
	}
	if hidden := s.driver.h.hybrid; hidden != "" { // what crun took for a cgroup
		os.RemoveAll(s.driver.starter.inside(filepath.Join(hidden, s.cgroup.path)))
	}
	if err := os.RemoveAll(s.folder); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	return nil
}

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

const (
	// verdict bounds how long a run that lost its agent waits for the Engine
	// to say why.
	verdict = 5 * time.Second

	// afterthought is how long the Engine may tell of an OOM kill after a death
	// that does not look like one.
	afterthought = 200 * time.Millisecond

	// resizing bounds a change of the memory limit.
	resizing = 10 * time.Second

	// drain is how long output may still arrive after a container has died.
	drain = time.Second
)

// Sandbox is one container.
type Sandbox struct {
	driver *Driver
	lang   sandbox.Language
	name   string
	id     string
	conn   *agent.Conn

	used      atomic.Bool
	destroyed atomic.Bool
	oomOnce   sync.Once
	oom       chan struct{} // closed when the Engine tells of an OOM kill
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
	resized, err := s.resize(ctx, p.MemoryBytes)
	if err != nil {
		return sandbox.Result{}, err
	}
	start := time.Now()
	res, err := s.conn.Run(ctx, p, out)
	switch {
	case errors.Is(err, agent.ErrProtocol): // alive, and not ours any more
		res, err = sandbox.Result{Status: sandbox.Error, ExitCode: sandbox.ExitKilled, Duration: time.Since(start)}, nil
	case errors.Is(err, agent.ErrLost):
		res, err = s.explain(ctx, time.Since(start), err)
	}
	res.Resized = resized
	return res, err
}

// resize gives the sandbox another memory limit, if it is another, and returns
// how long that took.
func (s *Sandbox) resize(ctx context.Context, memory int64) (time.Duration, error) {
	if memory == 0 || memory == s.lang.Limits.MemoryBytes {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resizing)
	defer cancel()
	start := time.Now()
	// Both at once: the Engine refuses one that does not fit the other.
	_, err := s.driver.api.ContainerUpdate(ctx, s.id, container.UpdateConfig{
		Resources: container.Resources{Memory: memory, MemorySwap: memory}})
	if err == nil {
		return time.Since(start), nil
	}
	select {
	case <-s.Dead():
		return 0, sandbox.ErrDead
	default:
	}
	err = wrap("change a container's memory limit", err)
	if errors.Is(err, sandbox.ErrEngine) || ctx.Err() != nil {
		return 0, err
	}
	why, _, _ := strings.Cut(err.Error(), "\n") // a runtime may add how it is used
	return 0, fmt.Errorf("%w: %s", sandbox.ErrResize, why)
}

// explain finds out why the agent is gone: the kernel's OOM killer took it, or
// it broke, or the Engine failed.
func (s *Sandbox) explain(ctx context.Context, took time.Duration, lost error) (sandbox.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, verdict)
	defer cancel()
	res := sandbox.Result{Status: sandbox.Error, ExitCode: sandbox.ExitKilled, Duration: took}
	for {
		if s.destroyed.Load() {
			return sandbox.Result{}, fmt.Errorf("docker: destroyed while it ran: %w", lost)
		}
		info, err := s.driver.api.ContainerInspect(ctx, s.id)
		if err != nil && !errdefs.IsNotFound(err) && ctx.Err() == nil {
			return sandbox.Result{}, wrap("inspect a container", err)
		}
		if err == nil && info.State.OOMKilled {
			res.Status = sandbox.OutOfMemory
			return res, nil
		}
		pause, last := 50*time.Millisecond, false
		if err != nil || !info.State.Running && info.State.ExitCode != sandbox.ExitKilled {
			pause, last = afterthought, true
		}
		// The first process of a container cannot be killed from inside it, so
		// SIGKILL was the kernel's or an operator's: the Engine's word on that is
		// waited for, as for that on a container that still runs.
		select {
		case <-s.oom:
			res.Status = sandbox.OutOfMemory
			return res, nil
		case <-ctx.Done():
			return res, nil
		case <-time.After(pause):
			if last {
				return res, nil
			}
		}
	}
}

// Destroy removes the container, as sandbox.Sandbox describes.
func (s *Sandbox) Destroy(ctx context.Context) error {
	s.destroyed.Store(true)
	s.conn.Close()
	if err := s.driver.remove(ctx, s.id); err != nil {
		return err
	}
	s.driver.mu.Lock()
	delete(s.driver.live, s.id)
	s.driver.mu.Unlock()
	return nil
}

// sawOOM is called by the driver's watch.
func (s *Sandbox) sawOOM() { s.oomOnce.Do(func() { close(s.oom) }) }

// sawDeath is called by the driver's watch. The stream ends by itself when its
// container does; this is for an Engine that forgets.
func (s *Sandbox) sawDeath() { time.AfterFunc(drain, s.conn.Hangup) }

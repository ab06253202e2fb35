// Package docker is the driver for the Docker Engine, and for whatever speaks
// its API.
//
// [New] makes a driver, [Driver.Launch] a sandbox: a container is created with
// the profile of package profile, attached and started; its first process is the
// agent, and the attached stream carries the agent's frames. There is no exec,
// no copy, no mount from the host: once a program has run, the only thing that
// happens to a container is that it is removed.
//
// The API version is negotiated. Nothing here depends on the version of the
// Engine or of its cgroups.
//
// Errors that mean that the Engine does not answer wrap sandbox.ErrEngine.
package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
	"github.com/preheat/preheat/sandbox/profile"
)

const (
	// LabelInstance marks every container of preheat, with the instance's name.
	LabelInstance = "preheat.instance"

	// LabelLanguage says which language a container is for.
	LabelLanguage = "preheat.language"

	// cleanUp bounds what is done to leave nothing behind.
	cleanUp = 30 * time.Second

	// orphanAge is how long another instance has to remove a container of its
	// own that has ended, before Reap does.
	orphanAge = 10 * time.Minute
)

// Config says how a Driver works.
type Config struct {
	// Instance names this server among those on the same Engine. It must be
	// the same after a restart and must not be shared.
	Instance string

	Observe Observe // may be nil
	Logger  *slog.Logger
}

// Driver launches sandboxes on one Engine.
type Driver struct {
	cfg   Config
	api   *client.Client
	users profile.Users
	life  context.Context // ended by Close, and with it the driver's tasks
	end   context.CancelFunc
	tasks sync.WaitGroup // watch, and discard's removals

	mu   sync.Mutex // guards live
	live map[string]*Sandbox
}

var _ sandbox.Driver = (*Driver)(nil)

// NewClient returns a client for the Engine that the environment names
// (DOCKER_HOST and its companions), or the one on this machine. It does not
// connect yet.
func NewClient() (*client.Client, error) {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return api, nil
}

// New returns a driver on api, which becomes its own. It does not wait for the
// Engine; see Check.
func New(api *client.Client, cfg Config) (*Driver, error) {
	if cfg.Instance == "" {
		return nil, errors.New("docker: the instance needs a name")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, time.Duration, bool) {}
	} else if err := cfg.Observe.watch(api); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	d := &Driver{cfg: cfg, api: api, live: make(map[string]*Sandbox)}
	d.life, d.end = context.WithCancel(context.Background())
	d.tasks.Go(func() { d.watch(d.life) })
	return d, nil
}

// Close ends the driver's goroutines and connections.
func (d *Driver) Close() error {
	d.end()
	d.tasks.Wait()
	return d.api.Close()
}

// Check asks the Engine what it is.
func (d *Driver) Check(ctx context.Context) (sandbox.EngineInfo, error) {
	info, err := d.api.Info(ctx)
	if err != nil {
		return sandbox.EngineInfo{}, wrap("ask the engine", err)
	}
	if err := canFilter(info.SecurityOptions); err != nil {
		return sandbox.EngineInfo{}, err
	}
	out := sandbox.EngineInfo{
		Name:          "docker",
		Version:       info.ServerVersion,
		APIVersion:    d.api.ClientVersion(),
		StorageDriver: info.Driver,
		Runtime:       info.DefaultRuntime,
		CPUs:          info.NCPU,
		MemoryBytes:   info.MemTotal,
	}
	out.CgroupVersion, _ = strconv.Atoi(info.CgroupVersion)
	for name := range info.Runtimes {
		out.Runtimes = append(out.Runtimes, name)
	}
	return out, nil
}

// Launch makes a sandbox, as sandbox.Driver describes.
func (d *Driver) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lang.Limits.Warmup,
		fmt.Errorf("docker: a %s sandbox was not warm after %s", lang.Name, lang.Limits.Warmup))
	defer cancel()
	s := &Sandbox{driver: d, lang: lang, name: containerName(lang.Name), oom: make(chan struct{})}
	config, host := render(lang, d.cfg.Instance, d.users.Next())
	if err := s.launch(ctx, config, host); err != nil {
		if ctx.Err() != nil {
			err = &launchError{err, reasonNotWarm}
		}
		d.discard(ctx, s.name)
		return nil, err
	}
	return s, nil
}

// discard removes what a failed launch may have left: by name, because the
// answer to a create may have been lost. What does not go at once, because the
// Engine is down, must not hold the launch's error up; it is tried again until
// the driver is closed, and then the next start's Reap finds it.
func (d *Driver) discard(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	if d.tryRemove(ctx, name) == nil {
		return
	}
	d.tasks.Go(func() {
		if err := d.remove(d.life, name); err != nil {
			d.cfg.Logger.Warn("left a container to the next start", "container", name, "error", err)
		}
	})
}

func (s *Sandbox) launch(ctx context.Context, config *container.Config, host *container.HostConfig) error {
	d := s.driver
	// A create that is cut off goes on in the Engine, and what it makes would
	// be there after it was looked for and removed.
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	created, err := d.api.ContainerCreate(whole, config, host, nil, nil, s.name)
	if errdefs.IsNotFound(err) {
		err = fmt.Errorf("docker: the image %s is missing; make it with `preheat images build`: %w", config.Image, err)
		return &launchError{err, reasonImageMissing}
	}
	if err != nil {
		return &launchError{wrap("create a container", explainFilter(err)), reasonRefused}
	}
	s.id = created.ID
	if err := context.Cause(ctx); err != nil {
		return err
	}
	done := d.cfg.Observe.call(attach)
	attached, err := d.api.ContainerAttach(ctx, s.id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	done(err)
	if err != nil {
		return &launchError{wrap("attach to a container", err), reasonRefused}
	}
	stream := newStream(attached)
	if err := d.api.ContainerStart(ctx, s.id, container.StartOptions{}); err != nil {
		stream.Close()
		return &launchError{wrap("start a container", explainFilter(err)), reasonRefused}
	}
	if s.conn, err = agent.Handshake(ctx, s.lang, rand.Text(), stream); err != nil {
		if said := stream.said.String(); said != "" {
			err = fmt.Errorf("%w; it said: %s", err, said)
		}
		return &launchError{err, reasonNotWarm}
	}
	d.mu.Lock()
	d.live[s.id] = s
	d.mu.Unlock()
	return nil
}

// Reap removes the containers of this instance, and those of any other that
// ended long ago and that nobody removed.
func (d *Driver) Reap(ctx context.Context) (int, error) {
	found, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelInstance))})
	if err != nil {
		return 0, wrap("list containers", err)
	}
	var (
		tasks  sync.WaitGroup
		failed = make(chan error, len(found))
		reaped int
	)
	for _, c := range found {
		if c.Labels[LabelInstance] != d.cfg.Instance && !d.orphaned(ctx, c) {
			continue
		}
		reaped++
		tasks.Go(func() { failed <- d.remove(ctx, c.ID) })
	}
	tasks.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return reaped, errors.Join(all...)
}

// orphaned reports whether another instance's container ended long ago, or was
// made long ago and never started. A sandbox may be warm for days before it ends,
// so its age alone says nothing.
func (d *Driver) orphaned(ctx context.Context, c container.Summary) bool {
	switch c.State {
	case container.StateExited, container.StateCreated, container.StateDead:
	default:
		return false
	}
	if time.Since(time.Unix(c.Created, 0)) < orphanAge {
		return false
	}
	info, err := d.api.ContainerInspect(ctx, c.ID)
	if err != nil || info.ContainerJSONBase == nil || info.State == nil {
		return false
	}
	ended, err := time.Parse(time.RFC3339Nano, info.State.FinishedAt)
	return err == nil && time.Since(ended) > orphanAge
}

// remove kills and removes a container, named or by id, and returns nil once the
// Engine has it no more. It tries again until ctx ends: removals stick when the
// machine is busy.
func (d *Driver) remove(ctx context.Context, id string) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := d.tryRemove(ctx, id)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (d *Driver) tryRemove(ctx context.Context, id string) error {
	err := d.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return wrap("remove a container", err)
}

// wrap says what failed, and marks that the Engine did not answer.
func wrap(op string, err error) error {
	if client.IsErrConnectionFailed(err) || strings.Contains(err.Error(), "error during connect") {
		return fmt.Errorf("docker: %s: %w: %w", op, sandbox.ErrEngine, err)
	}
	return fmt.Errorf("docker: %s: %w", op, err)
}

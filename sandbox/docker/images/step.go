package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/pkg/stdcopy"
)

// LabelStep marks a container that a build makes, with the language's name.
const LabelStep = "preheat.step"

const (
	// stepTimeout bounds the run of a step, and then again what is made of it.
	stepTimeout = 15 * time.Minute

	// stepAge is when a step's container has no builder any more. It is far
	// above twice stepTimeout, for the engine's clock may be another.
	stepAge = 2 * time.Hour

	// maxLogBytes bounds what is read of a step's output.
	maxLogBytes = 64 << 10
)

// step is a container that changes a root.
type step struct {
	what     string // it does, for people
	language string
	image    string
	network  container.NetworkMode
	script   string                  // for a shell, as root; what it prints is shown when it fails
	command  []string                // what the same shell runs then; its output is the step's
	write    func(*tar.Writer) error // writes files for the root
}

// run makes the step's container, runs it to its end, lets then take the
// container and what the command printed, and removes the container.
func (b *Builder) run(ctx context.Context, s step, then func(ctx context.Context, container, stdout string) error) (err error) {
	id, err := b.create(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.removeContainer(ctx, id)) }()
	stdout, err := b.finish(ctx, s, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return then(ctx, id, stdout)
}

func (b *Builder) create(ctx context.Context, s step) (string, error) {
	pids := int64(256)
	created, err := b.cli.ContainerCreate(ctx,
		&container.Config{
			Image:      s.image,
			User:       "0:0",
			WorkingDir: "/",
			Entrypoint: []string{"/bin/sh", "-ec", "{ :\n" + s.script + "\n} >&2\nexec \"$@\"", "sh"},
			Cmd:        s.command,
			Labels:     map[string]string{LabelStep: s.language},
		},
		&container.HostConfig{
			NetworkMode: s.network,
			CapDrop:     []string{"NET_RAW"},
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
			Resources:   container.Resources{Memory: 1 << 30, PidsLimit: &pids},
		}, nil, nil, "")
	if err != nil {
		return "", fmt.Errorf("creating a container: %w", err)
	}
	return created.ID, nil
}

// finish gives the container its files, runs it to its end, and returns what
// its command printed.
func (b *Builder) finish(ctx context.Context, s step, id string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("it took longer than %s", stepTimeout))
	defer cancel()
	var files bytes.Buffer
	out := tar.NewWriter(&files)
	if err := errors.Join(s.write(out), out.Close()); err != nil {
		return "", err
	}
	if err := b.cli.CopyToContainer(ctx, id, "/", &files, container.CopyToContainerOptions{}); err != nil {
		return "", fmt.Errorf("copying files to a container: %w", err)
	}
	if err := b.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("starting a container: %w", err)
	}
	done, failed := b.cli.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	var status container.WaitResponse
	select {
	case status = <-done:
	case err := <-failed:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("waiting for %s: %w", s.what, err)
	}
	stdout, stderr, err := b.logs(ctx, id)
	if err != nil {
		return "", err
	}
	if status.StatusCode != 0 {
		return "", fmt.Errorf("%s ended with exit code %d:\n%s", s.what, status.StatusCode, stderr+stdout)
	}
	return stdout, nil
}

// logs returns the last lines of a container's output.
func (b *Builder) logs(ctx context.Context, id string) (stdout, stderr string, err error) {
	body, err := b.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "30"})
	if err != nil {
		return "", "", fmt.Errorf("reading a container's output: %w", err)
	}
	defer body.Close()
	var out, errs bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errs, io.LimitReader(body, maxLogBytes)); err != nil {
		return "", "", fmt.Errorf("reading a container's output: %w", err)
	}
	return out.String(), errs.String(), nil
}

// removeContainer works on a cancelled context too.
func (b *Builder) removeContainer(ctx context.Context, id string) error {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	err := b.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // another removes it
		return nil
	}
	return fmt.Errorf("removing a container: %w", err)
}

// removeAbandoned removes the containers of builders that were killed: those
// too old for any that works.
func (b *Builder) removeAbandoned(ctx context.Context) error {
	found, err := b.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelStep))})
	if err != nil {
		return fmt.Errorf("listing what earlier builds left: %w", err)
	}
	var all []error
	for _, c := range found {
		if time.Since(time.Unix(c.Created, 0)) > stepAge {
			all = append(all, b.removeContainer(ctx, c.ID))
		}
	}
	return errors.Join(all...)
}

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

	"github.com/preheat/preheat/sandbox/images"
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

// Run implements images.Store.
func (s *Store) Run(ctx context.Context, step images.Step, then func(context.Context, images.Changed) error) (err error) {
	id, err := s.create(ctx, step)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.removeContainer(ctx, id)) }()
	stdout, err := s.finish(ctx, step, id)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return then(ctx, images.Changed{
		Output: stdout,
		Export: func(ctx context.Context) (io.ReadCloser, error) {
			body, err := s.cli.ContainerExport(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("exporting a container: %w", err)
			}
			return body, nil
		},
		Keep: func(ctx context.Context, ref string) (images.Root, error) {
			committed, err := s.cli.ContainerCommit(ctx, id, container.CommitOptions{})
			if err != nil {
				return images.Root{}, fmt.Errorf("committing a container: %w", err)
			}
			return root(committed.ID), s.retag(ctx, committed.ID, ref)
		},
	})
}

func (s *Store) create(ctx context.Context, step images.Step) (string, error) {
	pids := int64(256)
	network := container.NetworkMode("none")
	if step.Network {
		network = "host"
	}
	created, err := s.cli.ContainerCreate(ctx,
		&container.Config{
			Image:      step.Root,
			User:       "0:0",
			WorkingDir: "/",
			Entrypoint: step.Args(),
			Labels:     map[string]string{LabelStep: step.Language},
		},
		&container.HostConfig{
			NetworkMode: network,
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
func (s *Store) finish(ctx context.Context, step images.Step, id string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("it took longer than %s", stepTimeout))
	defer cancel()
	var files bytes.Buffer
	out := tar.NewWriter(&files)
	if err := errors.Join(step.Write(out), out.Close()); err != nil {
		return "", err
	}
	if err := s.cli.CopyToContainer(ctx, id, "/", &files, container.CopyToContainerOptions{}); err != nil {
		return "", fmt.Errorf("copying files to a container: %w", err)
	}
	if err := s.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return "", fmt.Errorf("starting a container: %w", err)
	}
	done, failed := s.cli.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	var status container.WaitResponse
	select {
	case status = <-done:
	case err := <-failed:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("waiting for %s: %w", step.What, err)
	}
	stdout, stderr, err := s.logs(ctx, id)
	if err != nil {
		return "", err
	}
	if status.StatusCode != 0 {
		return "", fmt.Errorf("%s ended with exit code %d:\n%s", step.What, status.StatusCode, stderr+stdout)
	}
	return stdout, nil
}

// logs returns the last lines of a container's output.
func (s *Store) logs(ctx context.Context, id string) (stdout, stderr string, err error) {
	body, err := s.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "30"})
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
func (s *Store) removeContainer(ctx context.Context, id string) error {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	err := s.cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // another removes it
		return nil
	}
	return fmt.Errorf("removing a container: %w", err)
}

// Sweep removes the containers of builders that were killed: those
// too old for any that works.
func (s *Store) Sweep(ctx context.Context) error {
	found, err := s.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelStep))})
	if err != nil {
		return fmt.Errorf("listing what earlier builds left: %w", err)
	}
	var all []error
	for _, c := range found {
		if time.Since(time.Unix(c.Created, 0)) > stepAge {
			all = append(all, s.removeContainer(ctx, c.ID))
		}
	}
	return errors.Join(all...)
}

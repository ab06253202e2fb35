package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/preheat/preheat/metrics"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker"
	dockerdoctor "github.com/preheat/preheat/sandbox/docker/doctor"
	dockerimages "github.com/preheat/preheat/sandbox/docker/images"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/images"
)

// dockerKind makes sandboxes with a Docker Engine.
var dockerKind = kind{
	name:    "docker",
	words:   metrics.Driver{Operations: docker.Operations(), LaunchReasons: docker.LaunchReasons, LaunchReason: docker.LaunchReason},
	advice:  "start a Docker Engine, or name one in DOCKER_HOST; `make engine` installs one on Debian",
	open:    openDocker,
	builder: dockerBuilder,
	hold:    func(images.Image) (io.Closer, error) { return io.NopCloser(nil), nil }, // the Engine does, for its containers
	examine: examineDocker,
}

func openDocker(instance string, observe observe, log *slog.Logger) (driver, error) {
	api, err := docker.NewClient()
	if err != nil {
		return nil, err
	}
	return docker.New(api, docker.Config{Instance: instance, Observe: observe, Logger: log})
}

func dockerBuilder(_ string, cfg images.Config) (*images.Builder, io.Closer, error) {
	api, err := docker.NewClient()
	if err != nil {
		return nil, nil, err
	}
	return images.New(dockerimages.New(api, dockerimages.DefaultPrefix), cfg), api, nil
}

func examineDocker(ctx context.Context, _ sandbox.EngineInfo, err error) []doctor.Check {
	if err != nil {
		return []doctor.Check{failed("engine", err)}
	}
	api, err := docker.NewClient()
	if err != nil {
		return []doctor.Check{failed("engine", err)}
	}
	defer api.Close()
	facts, err := dockerdoctor.Gather(ctx, api)
	if err != nil {
		return []doctor.Check{failed("engine", err)}
	}
	return dockerdoctor.Judge(facts)
}

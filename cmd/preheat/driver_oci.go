package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/preheat/preheat/metrics"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker"
	dockerimages "github.com/preheat/preheat/sandbox/docker/images"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
	"github.com/preheat/preheat/sandbox/oci"
	ocidoctor "github.com/preheat/preheat/sandbox/oci/doctor"
	"github.com/preheat/preheat/sandbox/oci/rootfs"
)

// ociKind makes sandboxes with an OCI runtime, without a daemon.
var ociKind = kind{
	name:    "oci",
	words:   metrics.Driver{Operations: oci.Operations(), LaunchReasons: oci.LaunchReasons, LaunchReason: oci.LaunchReason},
	open:    openOCI,
	builder: ociBuilder,
	hold:    func(i images.Image) (io.Closer, error) { return rootfs.Hold(i.ID) },
	examine: examineOCI,
}

func openOCI(instance string, observe observe, log *slog.Logger) (driver, error) {
	return oci.New(oci.Config{Instance: instance, Observe: observe, Logger: log})
}

// ociBuilder makes trees of files below the data folder. What an Engine has
// finished is copied, where one answers.
func ociBuilder(data string, cfg images.Config) (*images.Builder, io.Closer, error) {
	if data == "" {
		return nil, nil, errors.New("--data: name a folder for the images; there is no home folder to take")
	}
	runtime, _ := oci.Find("") // where there is none, a step says so
	store, err := rootfs.New(rootfs.Config{Dir: filepath.Join(data, "images"), Runtime: runtime})
	if err != nil {
		return nil, nil, err
	}
	api, err := docker.NewClient()
	if err != nil {
		return nil, nil, err
	}
	cfg.Finished = func(ctx context.Context, f languages.Folder, agent []byte) (io.ReadCloser, images.Image, error) {
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := api.Ping(soon); err != nil {
			return nil, images.Image{}, nil // there need not be an Engine
		}
		return dockerimages.New(api, dockerimages.DefaultPrefix).Export(ctx, f, agent)
	}
	return images.New(store, cfg), api, nil
}

func examineOCI(ctx context.Context, info sandbox.EngineInfo, err error) []doctor.Check {
	check := doctor.Check{Name: "engine", Level: doctor.Pass, Found: "no daemon, " + info.Version}
	if err != nil {
		check = failed("engine", err)
	}
	return append([]doctor.Check{check}, ocidoctor.Judge(ocidoctor.Gather(ctx))...)
}

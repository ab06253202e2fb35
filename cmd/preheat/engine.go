package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// embedded holds the agent once `make build` has made it.
//
//go:embed all:embedded
var embedded embed.FS

func agentBinary() ([]byte, error) {
	agent, err := embedded.ReadFile("embedded/preheat-agent")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this preheat was built without its agent; build it with `make build`")
	}
	return agent, err
}

// selectFolders returns the languages named, or all when none is; dir, unless
// it is empty, has the operator's own folders.
func selectFolders(dir string, names []string) ([]languages.Folder, error) {
	all, err := languages.AllWith(dir)
	if err != nil || len(names) == 0 {
		return all, err
	}
	var selected []languages.Folder
	for _, name := range names {
		i := slices.IndexFunc(all, func(f languages.Folder) bool { return f.Manifest.Name == name })
		if i < 0 {
			return nil, usageError{fmt.Errorf("unknown language %q; there are %s", name, strings.Join(folderNames(all), ", "))}
		}
		selected = append(selected, all[i])
	}
	return selected, nil
}

func folderNames(folders []languages.Folder) []string {
	names := make([]string, len(folders))
	for i, f := range folders {
		names[i] = f.Manifest.Name
	}
	return names
}

// newBuilder returns a builder of the kind's images, and what closes it.
func (o *options) newBuilder(k kind) (*images.Builder, io.Closer, error) {
	cfg, err := buildConfig(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	return k.builder(o.data, cfg)
}

// packageVars say where packages come from; the build hands them on.
var packageVars = []string{
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "npm_config_registry",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
}

// buildConfig takes from the environment where the images' parts come from.
func buildConfig(getenv func(string) string) (images.Config, error) {
	cfg := images.Config{NPMRegistry: getenv("npm_config_registry")}
	for _, name := range packageVars {
		if value := getenv(name); value != "" {
			cfg.PackageEnv = append(cfg.PackageEnv, name+"="+value)
		}
	}
	file := getenv("SSL_CERT_FILE")
	if file == "" {
		return cfg, nil
	}
	var err error
	if cfg.CACerts, err = os.ReadFile(file); err != nil {
		return cfg, fmt.Errorf("SSL_CERT_FILE: %w", err)
	}
	return cfg, nil
}

// buildsAtOnce is how many images are made at a time: making one waits for the
// network half of its time.
const buildsAtOnce = 2

// buildImages makes the images that are missing or stale, telling progress on w.
// The first that fails ends the others.
func (o *options) buildImages(ctx context.Context, k kind, folders []languages.Folder, how images.Options, w io.Writer) ([]images.Image, error) {
	agent, err := agentBinary()
	if err != nil {
		return nil, err
	}
	builder, closer, err := o.newBuilder(k)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		builds sync.WaitGroup
		mu     sync.Mutex // serializes what is written to w
		turns  = make(chan struct{}, buildsAtOnce)
		built  = make([]images.Image, len(folders))
	)
	for i, f := range folders {
		builds.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			image, err := builder.Build(ctx, f, agent, how, func(line string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(w, line)
			})
			if err != nil {
				cancel(err)
			}
			built[i] = image
		})
	}
	builds.Wait()
	return built, context.Cause(ctx)
}

// makeImages is buildImages for an engine, which then keeps them.
func (o *options) makeImages(ctx context.Context, e *engine, folders []languages.Folder, w io.Writer) ([]images.Image, error) {
	built, err := o.buildImages(ctx, e.kind, folders, images.Options{Base: images.Auto}, w)
	if err != nil {
		return nil, err
	}
	return built, e.keep(built)
}

// listImages tells of the images that there are.
func (o *options) listImages(ctx context.Context, k kind, folders []languages.Folder) ([]images.Image, error) {
	agent, err := agentBinary()
	if err != nil {
		return nil, err
	}
	builder, closer, err := o.newBuilder(k)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return builder.List(ctx, folders, agent)
}

// language joins a folder, its image and the operator's choices.
func language(f languages.Folder, image images.Image, runtime string, limits sandbox.Limits) sandbox.Language {
	m := f.Manifest
	return sandbox.Language{
		Name:     m.Name,
		Aliases:  m.Aliases,
		Version:  image.Version,
		Entry:    m.Entry,
		Image:    image.ID, // not the tag: a rebuild meanwhile must not mix two
		Command:  m.Command,
		Env:      m.Env,
		OnDemand: m.OnDemand,
		Collect:  m.Collect,
		Runtime:  runtime,
		Limits:   limits,
	}
}

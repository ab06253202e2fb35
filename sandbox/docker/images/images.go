// Package images makes the languages' images through the Engine's API.
//
// Start at [New] and [Builder.Build]. An image is one flat layer: a base root
// (a registry's image, or a Debian root made here), with the recipe's packages,
// changed by its setup, stripped by the layout's rules, with the agent and the
// language's files in /app. Its labels say what it was made from, so that [Builder.List]
// knows a stale one.
//
// How it fails: Build returns an error and has removed what it made on the way;
// a tag only ever names a finished image.
package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/languages"
)

// Labels of an image.
const (
	LabelLanguage = "preheat.language" // the language's name
	LabelVersion  = "preheat.version"  // of the interpreter
	LabelHash     = "preheat.hash"     // languages.Folder.Hash
	LabelBase     = "preheat.base"     // Registry or Debian
)

// BaseKind says where a base root comes from.
type BaseKind string

// The kinds of base.
const (
	Auto     BaseKind = "auto"     // the registry's image where it can be had, else Debian
	Registry BaseKind = "registry" // the registry's image
	Debian   BaseKind = "debian"   // a root made by mmdebstrap
)

// Freshness compares an image with what would be built now.
type Freshness string

// What an image can be.
const (
	Fresh   Freshness = "fresh"
	Stale   Freshness = "stale"   // made from another recipe, warm-up, agent or layout
	Missing Freshness = "missing" // not there
)

// Image is what the engine has for one language.
type Image struct {
	Language  string
	Ref       string // the image's name, such as "preheat-python:latest"
	Freshness Freshness

	// The rest is zero when the image is missing.
	ID      string
	Version string // of the interpreter
	Hash    string
	Base    BaseKind
	Size    int64 // bytes
	Created time.Time
}

// Config is what a Builder needs to know. Its zero value takes the defaults.
type Config struct {
	Prefix      string        // before the language in an image's name; default "preheat-"
	NPMRegistry string        // URL; default https://registry.npmjs.org
	PackageEnv  []string      // for pip, npm and apt where packages are installed, NAME=value
	CACerts     []byte        // PEM; what pip and npm trust, or empty for their own
	PullWait    time.Duration // a registry silent for longer counts as absent; default 15 s
}

// Builder makes images on one engine. It is safe for concurrent use.
type Builder struct {
	cli  *client.Client
	cfg  Config
	http *http.Client
}

// New returns a Builder on cli, which stays the caller's to close.
func New(cli *client.Client, cfg Config) *Builder {
	if cfg.Prefix == "" {
		cfg.Prefix = "preheat-"
	}
	if cfg.NPMRegistry == "" {
		cfg.NPMRegistry = "https://registry.npmjs.org"
	}
	if cfg.PullWait == 0 {
		cfg.PullWait = 15 * time.Second
	}
	return &Builder{cli: cli, cfg: cfg, http: &http.Client{Timeout: npmTimeout}}
}

// Options of one build.
type Options struct {
	Base  BaseKind // default Auto; it decides nothing for an image that is fresh
	Force bool     // build a fresh image again, and its base too
}

// Ref returns the name of a language's image.
func (b *Builder) Ref(language string) string { return b.cfg.Prefix + language + ":latest" }

// Build makes sure that f's image is there and fresh. It calls progress, one
// line at a time and from one goroutine at a time, before whatever may take
// longer than two seconds.
func (b *Builder) Build(ctx context.Context, f languages.Folder, agent []byte, o Options, progress func(line string)) (Image, error) {
	if len(agent) == 0 {
		return Image{}, errors.New("images: the agent is empty")
	}
	old, err := b.inspect(ctx, f, agent)
	if err != nil || old.Freshness == Fresh && !o.Force {
		return old, err
	}
	start := time.Now()
	say := func(format string, args ...any) {
		progress(f.Manifest.Name + ": " + fmt.Sprintf(format, args...))
	}
	if err := b.removeAbandoned(ctx); err != nil {
		return Image{}, fmt.Errorf("images: %s: %w", f.Manifest.Name, err)
	}
	base, err := b.base(ctx, f, o, say)
	if err == nil {
		base, err = b.withPackages(ctx, f, base, o.Force, say)
	}
	if err != nil {
		return Image{}, fmt.Errorf("images: %s: %w", f.Manifest.Name, err)
	}
	id, err := b.make(ctx, f, agent, base, say)
	if err != nil {
		return Image{}, fmt.Errorf("images: %s: %w", f.Manifest.Name, err)
	}
	if err := b.retag(ctx, id, old.Ref); err != nil {
		return Image{}, fmt.Errorf("images: %s: %w", f.Manifest.Name, err)
	}
	img, err := b.inspect(ctx, f, agent)
	if err == nil {
		say("%s is ready: version %s, %d MB, %.0f s", img.Ref, img.Version, img.Size/1e6, time.Since(start).Seconds())
	}
	return img, err
}

// List tells of each folder's image, in the folders' order.
func (b *Builder) List(ctx context.Context, folders []languages.Folder, agent []byte) ([]Image, error) {
	list := make([]Image, 0, len(folders))
	for _, f := range folders {
		img, err := b.inspect(ctx, f, agent)
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

func (b *Builder) inspect(ctx context.Context, f languages.Folder, agent []byte) (Image, error) {
	img := Image{Language: f.Manifest.Name, Ref: b.Ref(f.Manifest.Name), Freshness: Missing}
	found, err := b.cli.ImageInspect(ctx, img.Ref)
	if errdefs.IsNotFound(err) {
		return img, nil
	}
	if err != nil {
		return Image{}, fmt.Errorf("images: inspecting %s: %w", img.Ref, err)
	}
	img.ID, img.Size, img.Freshness = found.ID, found.Size, Stale
	img.Created, _ = time.Parse(time.RFC3339Nano, found.Created) // zero when the engine does not know
	if found.Config != nil {
		labels := found.Config.Labels
		img.Version, img.Hash, img.Base = labels[LabelVersion], labels[LabelHash], BaseKind(labels[LabelBase])
	}
	if img.Hash == f.Hash(agent) {
		img.Freshness = Fresh
	}
	return img, nil
}

// retag lets ref name the image id, and removes the image that it named before,
// unless that has another name.
func (b *Builder) retag(ctx context.Context, id, ref string) error {
	old, err := b.localImage(ctx, ref)
	if err == nil {
		err = b.cli.ImageTag(ctx, id, ref)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("tagging %s: %w", ref, err), b.removeImage(ctx, id))
	}
	if old == "" || old == id {
		return nil
	}
	found, err := b.cli.ImageInspect(ctx, old)
	if errdefs.IsNotFound(err) || err == nil && len(found.RepoTags) > 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", old, err)
	}
	return b.removeImage(ctx, old)
}

// removeImage removes an image, or its one name, unless a container needs it.
// It works on a cancelled context too.
func (b *Builder) removeImage(ctx context.Context, ref string) error {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	_, err := b.cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("removing the image %s: %w", ref, err)
}

// removeOtherTags removes the tags of repository other than ref.
func (b *Builder) removeOtherTags(ctx context.Context, repository, ref string) error {
	found, err := b.cli.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", repository))})
	if err != nil {
		return fmt.Errorf("listing %s: %w", repository, err)
	}
	for _, img := range found {
		for _, tag := range img.RepoTags {
			if tag == ref {
				continue
			}
			if err := b.removeImage(ctx, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanupContext outlives ctx's end and has a time-out of its own.
func cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}

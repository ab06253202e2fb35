// Package images makes the languages' images in a store.
//
// Start at [New] and [Builder.Build]. An image is one flat tree of files: a base
// root (a registry's image, or a Debian root made here), with the recipe's
// packages, changed by its setup, stripped by the layout's rules, with the agent
// and the language's files in /app. A [Store] keeps roots and images and runs the
// steps that change a root; it says of an image what it was made from, so that
// [Builder.List] knows a stale one.
//
// How it fails: Build returns an error and has removed what it made on the way;
// a store only ever shows finished images.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
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

// Image is what a store has for one language.
type Image struct {
	Language  string
	Ref       string // the image's name, such as "preheat-python:latest"
	Freshness Freshness

	// The rest is zero when the image is missing.
	ID      string // what sandbox.Language.Image takes
	Version string // of the interpreter
	Hash    string // languages.Folder.Hash
	Base    BaseKind
	Size    int64 // bytes
	Created time.Time
}

// Judge sets the freshness of an image that is there: it is fresh when it was
// made from what hash stands for.
func (i *Image) Judge(hash string) {
	i.Freshness = Stale
	if i.Hash == hash {
		i.Freshness = Fresh
	}
}

// Config is what a Builder needs to know. Its zero value takes the defaults.
type Config struct {
	NPMRegistry string        // URL; default https://registry.npmjs.org
	PackageEnv  []string      // for pip, npm and apt where packages are installed, NAME=value
	CACerts     []byte        // PEM; what pip and npm trust, or empty for their own
	PullWait    time.Duration // a registry silent for longer counts as absent; default 15 s

	// Finished, unless it is nil, gives the root of an image that another store
	// has finished, as a tar, and tells of that image. The tar is nil where the
	// image is not fresh. With Options.Base Auto it is asked first.
	Finished func(ctx context.Context, f languages.Folder, agent []byte) (io.ReadCloser, Image, error)
}

// Builder makes images in one store. It is safe for concurrent use.
type Builder struct {
	store Store
	cfg   Config
	http  *http.Client
}

// New returns a Builder on store.
func New(store Store, cfg Config) *Builder {
	if cfg.NPMRegistry == "" {
		cfg.NPMRegistry = "https://registry.npmjs.org"
	}
	if cfg.PullWait == 0 {
		cfg.PullWait = 15 * time.Second
	}
	return &Builder{store: store, cfg: cfg, http: &http.Client{Timeout: npmTimeout}}
}

// Options of one build.
type Options struct {
	Base  BaseKind // default Auto; it decides nothing for an image that is fresh
	Force bool     // build a fresh image again, and its base too
}

// Build makes sure that f's image is there and fresh. It calls progress, one
// line at a time and from one goroutine at a time, before whatever may take
// longer than two seconds.
func (b *Builder) Build(ctx context.Context, f languages.Folder, agent []byte, o Options, progress func(line string)) (_ Image, err error) {
	if len(agent) == 0 {
		return Image{}, errors.New("images: the agent is empty")
	}
	hash := f.Hash(agent)
	old, err := b.image(ctx, f.Manifest.Name, hash)
	if err != nil || old.Freshness == Fresh && !o.Force {
		return old, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("images: %s: %w", f.Manifest.Name, err)
		}
	}()
	start := time.Now()
	say := func(format string, args ...any) {
		progress(f.Manifest.Name + ": " + fmt.Sprintf(format, args...))
	}
	lock, err := b.store.Lock(ctx, f.Manifest.Name, func() { say("waiting for another build of it") })
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	made, err := b.store.Image(ctx, f.Manifest.Name, hash)
	if err != nil {
		return Image{}, err
	}
	if made.Freshness == Fresh && made.ID != old.ID { // another builder had the lock
		return made, nil
	}
	if err := b.store.Sweep(ctx); err != nil {
		return Image{}, err
	}
	if err := b.make(ctx, f, agent, o, say); err != nil {
		return Image{}, err
	}
	if made, err = b.store.Image(ctx, f.Manifest.Name, hash); err != nil {
		return Image{}, err
	}
	say("%s is ready: version %s, %d MB, %.0f s", made.Ref, made.Version, made.Size/1e6, time.Since(start).Seconds())
	return made, nil
}

// List tells of each folder's image, in the folders' order.
func (b *Builder) List(ctx context.Context, folders []languages.Folder, agent []byte) ([]Image, error) {
	list := make([]Image, 0, len(folders))
	for _, f := range folders {
		img, err := b.image(ctx, f.Manifest.Name, f.Hash(agent))
		if err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

func (b *Builder) image(ctx context.Context, language, hash string) (Image, error) {
	img, err := b.store.Image(ctx, language, hash)
	if err != nil {
		return Image{}, fmt.Errorf("images: %w", err)
	}
	return img, nil
}

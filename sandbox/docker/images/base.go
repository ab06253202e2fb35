package images

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"github.com/preheat/preheat/sandbox/languages"
)

// pullStall bounds the silence in the middle of a pull; layers may be slow.
const pullStall = time.Minute

// sayFunc reports progress.
type sayFunc func(format string, args ...any)

// baseImage is a root that the engine has.
type baseImage struct {
	id   string // what a container is created from
	kind BaseKind
}

// base makes sure that the engine has a base for f.
func (b *Builder) base(ctx context.Context, f languages.Folder, o Options, say sayFunc) (baseImage, error) {
	spec := f.Recipe.Root()
	switch o.Base {
	case Registry:
		return b.registryBase(ctx, spec, o.Force, say)
	case Debian:
		return b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	case Auto, "":
	default:
		return baseImage{}, fmt.Errorf("the base %q is none of auto, registry, debian", o.Base)
	}
	if spec.Debian == nil {
		return b.registryBase(ctx, spec, o.Force, say)
	}
	if spec.Image == "" {
		return b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	}
	if base, err := b.cachedBase(ctx, f.Manifest.Name, spec); err != nil || base.id != "" && !o.Force {
		return base, err
	}
	base, registryErr := b.registryBase(ctx, spec, o.Force, say)
	if registryErr == nil || ctx.Err() != nil {
		return base, registryErr
	}
	say("no %s (%v); taking Debian instead", spec.Image, registryErr)
	base, err := b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	if err != nil {
		return baseImage{}, errors.Join(err, registryErr)
	}
	return base, nil
}

// cachedBase returns the base that the engine already has, if any: an absent
// registry is asked once, not at every rebuild.
func (b *Builder) cachedBase(ctx context.Context, language string, spec languages.Base) (baseImage, error) {
	for _, c := range []baseImage{{spec.Image, Registry}, {debianRef(language, spec), Debian}} {
		if id, err := b.localImage(ctx, c.id); err != nil || id != "" {
			return baseImage{id, c.kind}, err
		}
	}
	return baseImage{}, nil
}

// debianRepository and debianRef name the Debian root of a language: its tag
// says what it was made from.
func debianRepository(language string) string { return "preheat-base-" + language }

func debianRef(language string, spec languages.Base) string {
	return debianRepository(language) + ":" + spec.Hash(runtime.GOARCH)[:12]
}

// registryBase returns the registry's image: the local one when there is one
// and it need not be renewed, or cannot be.
func (b *Builder) registryBase(ctx context.Context, spec languages.Base, renew bool, say sayFunc) (baseImage, error) {
	if spec.Image == "" {
		return baseImage{}, errors.New("the recipe names no registry image")
	}
	local, err := b.localImage(ctx, spec.Image)
	if err != nil {
		return baseImage{}, err
	}
	if local != "" && !renew {
		return baseImage{local, Registry}, nil
	}
	say("pulling %s", spec.Image)
	if err := b.pull(ctx, spec.Image, say); err != nil {
		if local != "" && ctx.Err() == nil {
			say("pulling %s failed (%v); taking the local one", spec.Image, err)
			return baseImage{local, Registry}, nil
		}
		return baseImage{}, fmt.Errorf("pulling %s: %w", spec.Image, err)
	}
	id, err := b.localImage(ctx, spec.Image)
	if err == nil && id == "" {
		err = fmt.Errorf("%s is not there after it was pulled", spec.Image)
	}
	return baseImage{id, Registry}, err
}

// localImage returns the id of an image that the engine has, or "".
func (b *Builder) localImage(ctx context.Context, ref string) (string, error) {
	found, err := b.cli.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("inspecting %s: %w", ref, err)
	}
	return found.ID, nil
}

// pull gives up when the engine reports nothing for Config.PullWait at the
// start, or for pullStall later.
func (b *Builder) pull(ctx context.Context, ref string, say sayFunc) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(b.cfg.PullWait, func() { cancel(errors.New("the registry does not answer")) })
	defer silence.Stop()
	body, err := b.cli.ImagePull(ctx, ref, image.PullOptions{})
	if err == nil {
		defer body.Close()
		err = readMessages(body, func(m message) {
			silence.Reset(pullStall)
			if m.ProgressDetail.Total == 0 && m.Status != "Waiting" {
				say("%s", strings.TrimSpace(m.Status+" "+m.ID))
			}
		})
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// debianBase returns the Debian root for spec, from the engine when it has the
// very one and it need not be renewed.
func (b *Builder) debianBase(ctx context.Context, language string, spec languages.Base, renew bool, say sayFunc) (baseImage, error) {
	if spec.Debian == nil {
		return baseImage{}, errors.New("the recipe has no Debian base")
	}
	ref := debianRef(language, spec)
	old, err := b.localImage(ctx, ref)
	if err != nil {
		return baseImage{}, err
	}
	if old != "" && !renew {
		return baseImage{old, Debian}, nil
	}
	id, err := b.importDebian(ctx, spec, say)
	if err != nil {
		return baseImage{}, err
	}
	if err := b.retag(ctx, id, ref); err != nil {
		return baseImage{}, err
	}
	return baseImage{id, Debian}, b.removeOtherTags(ctx, debianRepository(language), ref)
}

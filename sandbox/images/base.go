package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
)

// pullStall bounds the silence in the middle of a pull; layers may be slow.
const pullStall = time.Minute

// sayFunc reports progress.
type sayFunc func(format string, args ...any)

// baseRoot is a root with where it comes from.
type baseRoot struct {
	Root
	kind BaseKind
}

// base makes sure that the store has a base for f.
func (b *Builder) base(ctx context.Context, f languages.Folder, o Options, say sayFunc) (baseRoot, error) {
	spec := f.Recipe.Root()
	switch o.Base {
	case Registry:
		return b.registryBase(ctx, spec, o.Force, say)
	case Debian:
		return b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	case Auto, "":
	default:
		return baseRoot{}, fmt.Errorf("the base %q is none of auto, registry, debian", o.Base)
	}
	if spec.Debian == nil {
		return b.registryBase(ctx, spec, o.Force, say)
	}
	if spec.Image == "" {
		return b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	}
	if base, err := b.cachedBase(ctx, f.Manifest.Name, spec); err != nil || base.ID != "" && !o.Force {
		return base, err
	}
	base, registryErr := b.registryBase(ctx, spec, o.Force, say)
	if registryErr == nil || ctx.Err() != nil {
		return base, registryErr
	}
	say("no %s (%v); taking Debian instead", spec.Image, registryErr)
	base, err := b.debianBase(ctx, f.Manifest.Name, spec, o.Force, say)
	if err != nil {
		return baseRoot{}, errors.Join(err, registryErr)
	}
	return base, nil
}

// cachedBase returns the base that the store already has, if any: an absent
// registry is asked once, not at every rebuild.
func (b *Builder) cachedBase(ctx context.Context, language string, spec languages.Base) (baseRoot, error) {
	for _, c := range []struct {
		ref  string
		kind BaseKind
	}{{spec.Image, Registry}, {DebianRef(language, spec), Debian}} {
		if root, err := b.store.Root(ctx, c.ref); err != nil || root.ID != "" {
			return baseRoot{root, c.kind}, err
		}
	}
	return baseRoot{}, nil
}

// DebianRef names the Debian root of a language: its tag says what it was made
// from.
func DebianRef(language string, spec languages.Base) string {
	return "preheat-base-" + language + ":" + spec.Hash(runtime.GOARCH)[:12]
}

// registryBase returns the registry's image: the local one when there is one
// and it need not be renewed, or cannot be.
func (b *Builder) registryBase(ctx context.Context, spec languages.Base, renew bool, say sayFunc) (baseRoot, error) {
	if spec.Image == "" {
		return baseRoot{}, errors.New("the recipe names no registry image")
	}
	local, err := b.store.Root(ctx, spec.Image)
	if err != nil {
		return baseRoot{}, err
	}
	if local.ID != "" && !renew {
		return baseRoot{local, Registry}, nil
	}
	say("pulling %s", spec.Image)
	if err := b.pull(ctx, spec.Image, say); err != nil {
		if local.ID != "" && ctx.Err() == nil {
			say("pulling %s failed (%v); taking the local one", spec.Image, err)
			return baseRoot{local, Registry}, nil
		}
		return baseRoot{}, fmt.Errorf("pulling %s: %w", spec.Image, err)
	}
	pulled, err := b.store.Root(ctx, spec.Image)
	if err == nil && pulled.ID == "" {
		err = fmt.Errorf("%s is not there after it was pulled", spec.Image)
	}
	return baseRoot{pulled, Registry}, err
}

// pull gives up when nothing is heard for Config.PullWait at the start, or for
// pullStall later.
func (b *Builder) pull(ctx context.Context, ref string, say sayFunc) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(b.cfg.PullWait, func() { cancel(errors.New("the registry does not answer")) })
	defer silence.Stop()
	err := b.store.Pull(ctx, ref, func(line string) {
		silence.Reset(pullStall)
		if line != "" {
			say("%s", line)
		}
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// debianBase returns the Debian root for spec, from the store when it has the
// very one and it need not be renewed.
func (b *Builder) debianBase(ctx context.Context, language string, spec languages.Base, renew bool, say sayFunc) (baseRoot, error) {
	if spec.Debian == nil {
		return baseRoot{}, errors.New("the recipe has no Debian base")
	}
	ref := DebianRef(language, spec)
	root, err := b.store.Root(ctx, ref)
	if err != nil || root.ID != "" && !renew {
		return baseRoot{root, Debian}, err
	}
	if root, err = b.importDebian(ctx, ref, spec, say); err != nil {
		return baseRoot{}, err
	}
	return baseRoot{root, Debian}, b.store.RemoveOthers(ctx, ref)
}

// importDebian makes a Debian root and gives it to the store as ref.
func (b *Builder) importDebian(ctx context.Context, ref string, spec languages.Base, say sayFunc) (Root, error) {
	tool, err := mmdebstrap()
	if err != nil {
		return Root{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, debianTimeout)
	defer cancel()
	var pkg *npmPackage
	if len(spec.NPM) > 0 {
		npm, ok := spec.NPM[runtime.GOARCH]
		if !ok {
			return Root{}, fmt.Errorf("the recipe has no npm package for %s", runtime.GOARCH)
		}
		if pkg, err = b.fetchNPM(ctx, npm, say); err != nil {
			return Root{}, err
		}
		defer pkg.remove()
	}
	say("making a Debian root with mmdebstrap; this takes about half a minute")
	return b.store.Import(ctx, ref, func(w io.Writer) error {
		return writeDebian(ctx, tool, *spec.Debian, pkg, w, say)
	})
}

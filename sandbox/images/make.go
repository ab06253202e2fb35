package images

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/preheat/preheat/sandbox/languages"
)

var versionRule = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}$`)

// make builds f's image, from another store's where there is one to be had.
func (b *Builder) make(ctx context.Context, f languages.Folder, agent []byte, o Options, say sayFunc) error {
	if b.cfg.Finished != nil && (o.Base == Auto || o.Base == "") && !o.Force {
		switch taken, err := b.takeOver(ctx, f, agent, say); {
		case err != nil && ctx.Err() == nil:
			say("the finished image cannot be had: %v", err)
		case err != nil || taken:
			return err
		}
	}
	base, err := b.base(ctx, f, o, say)
	if err != nil {
		return err
	}
	if base, err = b.withPackages(ctx, f, base, o.Force, say); err != nil {
		return err
	}
	return b.setUp(ctx, f, agent, base, say)
}

// takeOver copies the image that another store has finished, and reports
// whether there was one. It is laid out again, for it is not ours.
func (b *Builder) takeOver(ctx context.Context, f languages.Folder, agent []byte, say sayFunc) (bool, error) {
	root, img, err := b.cfg.Finished(ctx, f, agent)
	if err != nil || root == nil {
		return false, err
	}
	defer root.Close()
	say("copying %s", img.Ref)
	if img.Base != Registry && img.Base != Debian {
		return false, fmt.Errorf("%s has the unknown base %q", img.Ref, img.Base)
	}
	return true, b.finish(ctx, f, agent, img.Version, img.Base, root)
}

// setUp runs the recipe's setup on base and makes the image of what comes out.
func (b *Builder) setUp(ctx context.Context, f languages.Folder, agent []byte, base baseRoot, say sayFunc) error {
	setup := Step{
		What:     "the setup or the version command",
		Language: f.Manifest.Name,
		Root:     base.ID,
		Script:   strings.Join(f.Recipe.Setup, "\n"),
		Command:  f.Manifest.VersionCommand,
		Write:    newLayout(f, agent).writeOwn,
	}
	say("running the recipe's setup")
	return b.store.Run(ctx, setup, func(ctx context.Context, done Changed) error {
		say("flattening the root")
		root, err := done.Export(ctx)
		if err != nil {
			return err
		}
		defer root.Close()
		return b.finish(ctx, f, agent, strings.TrimSpace(done.Output), base.kind, root)
	})
}

// finish makes the image of root, a tar.
func (b *Builder) finish(ctx context.Context, f languages.Folder, agent []byte, version string, base BaseKind, root io.Reader) error {
	if !versionRule.MatchString(version) {
		return fmt.Errorf("the version command printed %q, not a version", version)
	}
	img := Image{Language: f.Manifest.Name, Version: version, Hash: f.Hash(agent), Base: base}
	return b.store.Finish(ctx, img, func(w io.Writer) error { return newLayout(f, agent).withNames().flatten(root, w) })
}

// Package images keeps the languages' images in a Docker Engine.
//
// Start at [New], which gives the store for a Builder of sandbox/images. A root
// is an image with its name; a step runs in a container; a finished image is one
// layer whose labels say what it was made from. [Store.Export] takes a finished
// image out again, for a machine whose sandboxes need no Engine.
//
// How it fails: a failed import, pull or step leaves no image and no container;
// those of a builder that was killed are swept once they are too old for any
// that works.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// Labels of an image.
const (
	LabelLanguage = "preheat.language" // the language's name
	LabelVersion  = "preheat.version"  // of the interpreter
	LabelHash     = "preheat.hash"     // languages.Folder.Hash
	LabelBase     = "preheat.base"     // images.Registry or images.Debian
)

// DefaultPrefix is before the language in an image's name.
const DefaultPrefix = "preheat-"

// Store keeps images in one engine. It is safe for concurrent use.
type Store struct {
	cli    *client.Client
	prefix string
}

var _ images.Store = (*Store)(nil)

// New returns the store of the engine behind cli, which stays the caller's to
// close. The images' names begin with prefix.
func New(cli *client.Client, prefix string) *Store { return &Store{cli: cli, prefix: prefix} }

// Ref returns the name of a language's image.
func (s *Store) Ref(language string) string { return s.prefix + language + ":latest" }

// Lock needs to do nothing: two builders of one language make two images, and
// the name goes to the last.
func (s *Store) Lock(context.Context, string, func()) (io.Closer, error) {
	return io.NopCloser(nil), nil
}

// Image implements images.Store.
func (s *Store) Image(ctx context.Context, language, hash string) (images.Image, error) {
	img := images.Image{Language: language, Ref: s.Ref(language), Freshness: images.Missing}
	found, err := s.cli.ImageInspect(ctx, img.Ref)
	if errdefs.IsNotFound(err) {
		return img, nil
	}
	if err != nil {
		return images.Image{}, fmt.Errorf("inspecting %s: %w", img.Ref, err)
	}
	img.ID, img.Size = found.ID, found.Size
	img.Created, _ = time.Parse(time.RFC3339Nano, found.Created) // zero when the engine does not know
	if found.Config != nil {
		labels := found.Config.Labels
		img.Version, img.Hash, img.Base = labels[LabelVersion], labels[LabelHash], images.BaseKind(labels[LabelBase])
	}
	img.Judge(hash)
	return img, nil
}

// Finish implements images.Store.
func (s *Store) Finish(ctx context.Context, img images.Image, write func(io.Writer) error) error {
	id, err := s.importTar(ctx, changes(map[string]string{
		LabelLanguage: img.Language,
		LabelVersion:  img.Version,
		LabelHash:     img.Hash,
		LabelBase:     string(img.Base),
	}), write)
	if err != nil {
		return err
	}
	return s.retag(ctx, id, s.Ref(img.Language))
}

// Root implements images.Store.
func (s *Store) Root(ctx context.Context, ref string) (images.Root, error) {
	found, err := s.cli.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return images.Root{}, nil
	}
	if err != nil {
		return images.Root{}, fmt.Errorf("inspecting %s: %w", ref, err)
	}
	return root(found.ID), nil
}

// root is the root with an image's id, which changes with its content.
func root(id string) images.Root { return images.Root{ID: id, Stamp: id} }

// Import implements images.Store.
func (s *Store) Import(ctx context.Context, ref string, write func(io.Writer) error) (images.Root, error) {
	id, err := s.importTar(ctx, nil, write)
	if err != nil {
		return images.Root{}, err
	}
	return root(id), s.retag(ctx, id, ref)
}

// Pull implements images.Store.
func (s *Store) Pull(ctx context.Context, ref string, heard func(line string)) error {
	body, err := s.cli.ImagePull(ctx, ref, image.PullOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	return readMessages(body, func(m message) {
		line := ""
		if m.ProgressDetail.Total == 0 && m.Status != "Waiting" {
			line = strings.TrimSpace(m.Status + " " + m.ID)
		}
		heard(line)
	})
}

// Export returns the root of f's image as a tar, with what the engine adds to a
// container's, and tells of the image. The tar is nil unless the image is fresh.
func (s *Store) Export(ctx context.Context, f languages.Folder, agent []byte) (io.ReadCloser, images.Image, error) {
	img, err := s.Image(ctx, f.Manifest.Name, f.Hash(agent))
	if err != nil || img.Freshness != images.Fresh {
		return nil, img, err
	}
	created, err := s.cli.ContainerCreate(ctx,
		&container.Config{Image: img.ID, Cmd: []string{"true"}, Labels: map[string]string{LabelStep: img.Language}},
		&container.HostConfig{NetworkMode: "none"}, nil, nil, "") // it is never started
	if err != nil {
		return nil, img, fmt.Errorf("creating a container of %s: %w", img.Ref, err)
	}
	body, err := s.cli.ContainerExport(ctx, created.ID)
	if err != nil {
		return nil, img, errors.Join(fmt.Errorf("exporting %s: %w", img.Ref, err), s.removeContainer(ctx, created.ID))
	}
	return exported{body, func() error { return s.removeContainer(ctx, created.ID) }}, img, nil
}

// exported is the tar of a container that goes with it.
type exported struct {
	io.ReadCloser
	remove func() error
}

// Close also removes the container.
func (e exported) Close() error { return errors.Join(e.ReadCloser.Close(), e.remove()) }

// retag lets ref name the image id, and removes the image that it named before,
// unless that has another name.
func (s *Store) retag(ctx context.Context, id, ref string) error {
	old, err := s.Root(ctx, ref)
	if err == nil {
		err = s.cli.ImageTag(ctx, id, ref)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("tagging %s: %w", ref, err), s.removeImage(ctx, id))
	}
	if old.ID == "" || old.ID == id {
		return nil
	}
	found, err := s.cli.ImageInspect(ctx, old.ID)
	if errdefs.IsNotFound(err) || err == nil && len(found.RepoTags) > 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspecting %s: %w", old.ID, err)
	}
	return s.removeImage(ctx, old.ID)
}

// removeImage removes an image, or its one name, unless a container needs it.
// It works on a cancelled context too.
func (s *Store) removeImage(ctx context.Context, ref string) error {
	ctx, cancel := cleanupContext(ctx)
	defer cancel()
	_, err := s.cli.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("removing the image %s: %w", ref, err)
}

// RemoveOthers implements images.Store.
func (s *Store) RemoveOthers(ctx context.Context, ref string) error {
	repository, _, _ := strings.Cut(ref, ":")
	found, err := s.cli.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", repository))})
	if err != nil {
		return fmt.Errorf("listing %s: %w", repository, err)
	}
	for _, img := range found {
		for _, tag := range img.RepoTags {
			if tag == ref {
				continue
			}
			if err := s.removeImage(ctx, tag); err != nil {
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

package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/preheat/preheat/sandbox/languages"
)

// fakeStore keeps roots and images in memory. A step leaves its root as it is
// and prints a version.
type fakeStore struct {
	pull     func(ctx context.Context, heard func(string)) error // of any image; nil pulls it
	roots    map[string][]byte
	image    Image
	finished []string // names of the image's entries
	steps    []Step
	pulls    int
}

func newFake() *fakeStore { return &fakeStore{roots: make(map[string][]byte)} }

func (s *fakeStore) Lock(context.Context, string, func()) (io.Closer, error) {
	return io.NopCloser(nil), nil
}

func (s *fakeStore) Sweep(context.Context) error { return nil }

func (s *fakeStore) Image(_ context.Context, language, hash string) (Image, error) {
	img := s.image
	if img.ID == "" {
		return Image{Language: language, Freshness: Missing}, nil
	}
	img.Judge(hash)
	return img, nil
}

func (s *fakeStore) Finish(_ context.Context, img Image, write func(io.Writer) error) error {
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return err
	}
	s.image, s.finished = img, nil
	s.image.ID = "image"
	for in := tar.NewReader(&content); ; {
		h, err := in.Next()
		if err != nil {
			return ignoreEOF(err)
		}
		s.finished = append(s.finished, h.Name)
	}
}

func (s *fakeStore) Root(_ context.Context, ref string) (Root, error) {
	if s.roots[ref] == nil {
		return Root{}, nil
	}
	return Root{ID: ref, Stamp: ref}, nil
}

func (s *fakeStore) Pull(ctx context.Context, ref string, heard func(string)) error {
	s.pulls++
	if s.pull != nil {
		return s.pull(ctx, heard)
	}
	s.roots[ref] = emptyTar()
	return nil
}

func (s *fakeStore) Import(ctx context.Context, ref string, write func(io.Writer) error) (Root, error) {
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return Root{}, err
	}
	s.roots[ref] = content.Bytes()
	return s.Root(ctx, ref)
}

func (s *fakeStore) RemoveOthers(_ context.Context, ref string) error {
	repository, _, _ := strings.Cut(ref, ":")
	for name := range s.roots {
		if strings.HasPrefix(name, repository+":") && name != ref {
			delete(s.roots, name)
		}
	}
	return nil
}

func (s *fakeStore) Run(ctx context.Context, step Step, then func(context.Context, Changed) error) error {
	s.steps = append(s.steps, step)
	root, there := s.roots[step.Root]
	if !there {
		return errors.New("no such root")
	}
	return then(ctx, Changed{
		Output: "1.2.3\n",
		Export: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(root)), nil },
		Keep: func(ctx context.Context, ref string) (Root, error) {
			s.roots[ref] = root
			return s.Root(ctx, ref)
		},
	})
}

func emptyTar() []byte {
	var b bytes.Buffer
	_ = tar.NewWriter(&b).Close()
	return b.Bytes()
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// folderOn returns a small language on base.
func folderOn(base languages.Base) languages.Folder {
	return languages.Folder{Manifest: languages.Manifest{Name: "lua", VersionCommand: []string{"lua", "-v"}}, Recipe: languages.Recipe{Base: base}}
}

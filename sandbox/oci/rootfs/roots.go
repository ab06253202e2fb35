package rootfs

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/preheat/preheat/sandbox/images"
)

func (s *Store) rootsDir() string { return filepath.Join(s.dir, "roots") }

// rootFile is the tar of the root called ref.
func (s *Store) rootFile(ref string) string {
	return filepath.Join(s.rootsDir(), url.PathEscape(ref)+".tar")
}

// Root implements images.Store.
func (s *Store) Root(_ context.Context, ref string) (images.Root, error) {
	f, err := os.Open(s.rootFile(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return images.Root{}, nil
	}
	if err != nil {
		return images.Root{}, fmt.Errorf("looking for the root %s: %w", ref, err)
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return images.Root{}, fmt.Errorf("reading the root %s: %w", ref, err)
	}
	return images.Root{ID: f.Name(), Stamp: hex.EncodeToString(digest.Sum(nil))}, nil
}

// Import implements images.Store.
func (s *Store) Import(ctx context.Context, ref string, write func(io.Writer) error) (_ images.Root, err error) {
	w, err := s.begin()
	if err != nil {
		return images.Root{}, err
	}
	defer func() { err = errors.Join(err, w.end(ctx)) }()
	made := filepath.Join(w.dir, "root.tar")
	if err := writeFile(made, s.bounds.bytes, write); err != nil {
		return images.Root{}, err
	}
	if err := os.Rename(made, s.rootFile(ref)); err != nil {
		return images.Root{}, fmt.Errorf("keeping the root %s: %w", ref, err)
	}
	return s.Root(ctx, ref)
}

// writeFile writes what write produces, at most limit bytes, to the disk.
func writeFile(path string, limit int64, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(&limitedWriter{f, limit}, 1<<20)
	if err := write(out); err != nil {
		return err
	}
	return errors.Join(out.Flush(), f.Sync())
}

// limitedWriter fails when more than left bytes are written.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, errTooLarge
	}
	return l.w.Write(p)
}

// RemoveOthers implements images.Store.
func (s *Store) RemoveOthers(_ context.Context, ref string) error {
	repository, _, _ := strings.Cut(ref, ":")
	entries, err := os.ReadDir(s.rootsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(s.rootsDir(), e.Name())
		if !strings.HasPrefix(e.Name(), url.PathEscape(repository)+":") || path == s.rootFile(ref) {
			continue
		}
		if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// Pull implements images.Store. The layers' digests are checked.
func (s *Store) Pull(ctx context.Context, ref string, heard func(line string)) error {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	defer transport.CloseIdleConnections()
	img, err := remote.Image(parsed,
		remote.WithContext(ctx),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}),
		remote.WithTransport(listener{transport, heard}))
	if err != nil {
		return err
	}
	heard("downloading")
	root := mutate.Extract(img)
	defer root.Close()
	_, err = s.Import(ctx, ref, func(w io.Writer) error {
		_, err := io.Copy(w, root)
		return err
	})
	return err
}

// listener tells whenever a server is heard.
type listener struct {
	http.RoundTripper
	heard func(line string)
}

func (l listener) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		l.heard("")
		resp.Body = heardBody{resp.Body, l.heard}
	}
	return resp, err
}

type heardBody struct {
	io.ReadCloser
	heard func(line string)
}

func (b heardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.heard("")
	}
	return n, err
}

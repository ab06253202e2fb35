package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// serve returns a registry's host and port; front, unless it is nil, sees the
// requests first and may answer them.
func serve(t *testing.T, front func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	behind := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if front == nil || !front(w, r) {
			behind.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push gives the registry an image of these layers, for this machine and for
// another kind, whose image is empty.
func push(t *testing.T, ref string, layers ...[]byte) {
	t.Helper()
	img := empty.Image
	for _, content := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
	parsed, err := name.ParseReference(ref)
	if err == nil {
		err = remote.WriteIndex(parsed, index)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestALanguageIsMadeFromARegistrysImage(t *testing.T) {
	s := newStore(t)
	ref := serve(t, nil) + "/library/tiny:1"
	push(t, ref,
		tarOf(t, append(baseEntries(t), file("etc/gone", "old", 0o644), file("etc/changed", "old", 0o644))...),
		tarOf(t, file("etc/.wh.gone", "", 0), file("etc/changed", "new", 0o644)))
	f := tiny("test ! -e /etc/gone")
	f.Recipe.Base = languages.Base{Image: ref, Debian: &languages.Debian{Suite: "bookworm"}}
	img := mustBuild(t, s, f, "agent")
	if img.Base != images.Registry || read(t, img, "etc/changed") != "new" {
		t.Errorf("the image is %+v", img)
	}
	checkTree(t, img)
	checkNothingLeft(t, s)
	again, err := images.New(s, images.Config{}).Build(t.Context(), f, []byte("another"), images.Options{}, func(line string) {
		if strings.Contains(line, "pulling") {
			t.Error("it is pulled again for another agent")
		}
	})
	if err != nil || again.ID == img.ID {
		t.Errorf("the image for another agent is %+v, %v", again, err)
	}
}

func TestAPullThatGoesWrongKeepsNothing(t *testing.T) {
	blob := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
	}
	for name, front := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"the image is not there": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
				http.NotFound(w, r)
				return true
			}
			return false
		},
		"a layer is another": func(w http.ResponseWriter, r *http.Request) bool {
			if blob(r) {
				_, _ = w.Write(tarOf(t, file("etc/passwd", "bad", 0o644)))
			}
			return blob(r)
		},
		"a layer breaks off": func(w http.ResponseWriter, r *http.Request) bool {
			if blob(r) {
				panic(http.ErrAbortHandler)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeIn(t, t.TempDir(), "runc")
			ref := serve(t, front) + "/tiny:1"
			push(t, ref, tarOf(t, file("etc/passwd", "good", 0o644)))
			if err := s.Pull(t.Context(), ref, func(string) {}); err == nil {
				t.Error("there is no error")
			}
			if root, err := s.Root(t.Context(), ref); err != nil || root.ID != "" {
				t.Errorf("the root is %+v, %v", root, err)
			}
			checkNothingLeft(t, s)
		})
	}
}

func TestARegistryThatFallsSilentIsGivenUp(t *testing.T) {
	over := make(chan struct{})
	ref := serve(t, func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-over:
		case <-r.Context().Done():
		}
		return true
	}) + "/tiny:1"
	defer close(over)
	s := storeIn(t, t.TempDir(), "runc")
	f := tiny()
	f.Recipe.Base.Image = ref
	_, err := images.New(s, images.Config{PullWait: 50 * time.Millisecond}).Build(t.Context(), f, []byte("agent"), images.Options{}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("error %v, want that the registry does not answer", err)
	}
}

func TestADebianRootIsKeptAndUsed(t *testing.T) {
	s := newStore(t)
	dir := t.TempDir()
	content := tarOf(t, append(baseEntries(t), entry{tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Mode: 0o666}, ""})...)
	err := errors.Join(os.WriteFile(filepath.Join(dir, "root.tar"), content, 0o600),
		os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte("#!/bin/sh\necho once >> "+dir+"/calls\ncat "+dir+"/root.tar\n"), 0o700)) //nolint:gosec // it must be executable
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	f := tiny()
	f.Recipe.Base = languages.Base{Debian: &languages.Debian{Suite: "bookworm"}}
	for _, agent := range []string{"agent one", "agent two"} {
		if img := mustBuild(t, s, f, agent); img.Base != images.Debian || read(t, img, "app/preheat-agent") != agent {
			t.Errorf("the image is %+v", img)
		}
	}
	if calls, err := os.ReadFile(filepath.Join(dir, "calls")); err != nil || string(calls) != "once\n" {
		t.Errorf("mmdebstrap was called %q, %v", calls, err)
	}
	checkNothingLeft(t, s)
}

func TestARootThatIsTooLargeIsNotKept(t *testing.T) {
	s := storeIn(t, t.TempDir(), "runc")
	s.bounds.bytes = 1000
	_, err := s.Import(t.Context(), "x:1", func(w io.Writer) error {
		_, err := w.Write(make([]byte, 2<<20))
		return err
	})
	if !errors.Is(err, errTooLarge) {
		t.Errorf("error %v, want errTooLarge", err)
	}
	checkNothingLeft(t, s)
}

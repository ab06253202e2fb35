package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPackageIsFetchedOnceAndVerifiedEachTime(t *testing.T) {
	archive := archiveOf(t, map[string]string{"package/index.js": "1"})
	asked := 0
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/@a/b/-/b-1.0.0.tgz" {
			http.NotFound(w, r)
			return
		}
		w.Write(archive)
	}))
	defer registry.Close()
	cache, sum := t.TempDir(), sha512.Sum512(archive)
	p := pkg{"@a/b", "1.0.0", sum[:]}
	for range 2 {
		got, err := p.archive(t.Context(), cache, registry.URL)
		if err != nil || !bytes.Equal(got, archive) {
			t.Fatalf("got %d bytes and %v", len(got), err)
		}
	}
	if asked != 1 {
		t.Errorf("the registry was asked %d times", asked)
	}

	kept, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("the cache has %v, %v", kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := p.archive(t.Context(), cache, registry.URL); err != nil || !bytes.Equal(got, archive) || asked != 2 {
		t.Errorf("after its cache was spoilt: %d bytes, %v, asked %d times", len(got), err, asked)
	}

	p.sha512 = make([]byte, 64)
	if _, err := p.archive(t.Context(), cache, registry.URL); !errors.Is(err, errIntegrity) {
		t.Errorf("another archive than the lock file's: %v", err)
	}
}

func TestPackageStaysInItsFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "module")
	if err := unpack(archiveOf(t, map[string]string{"package/lib/a.js": "1"}), folder); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "lib", "a.js")); err != nil || string(got) != "1" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := unpack(archiveOf(t, map[string]string{"package/../../evil.js": "1"}), folder); err == nil {
		t.Error("a name that climbs out was unpacked")
	}
}

// Package ocitest serves tests of sandboxes without an engine.
package ocitest

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
	"github.com/preheat/preheat/sandbox/oci/rootfs"
)

// Language returns the named language with its tree and the default limits. The
// tree must be there, in PREHEAT_DATA or root's own folder of data; `make images`
// makes it.
func Language(t testing.TB, name string) sandbox.Language {
	t.Helper()
	folders, err := languages.All()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(folders, func(f languages.Folder) bool { return f.Manifest.Name == name })
	if i < 0 {
		t.Fatalf("there is no language %q", name)
	}
	dir := filepath.Join(cmp.Or(os.Getenv("PREHEAT_DATA"), "/var/lib/preheat"), "images")
	store, err := rootfs.New(rootfs.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	image, err := store.Image(t.Context(), name, "")
	if err != nil || image.Freshness == images.Missing {
		t.Fatalf("no tree of %s in %s (%v); run `make images`", name, dir, err)
	}
	m := folders[i].Manifest
	return sandbox.Language{
		Name: m.Name, Aliases: m.Aliases, Entry: m.Entry,
		Image: image.ID, Command: m.Command, Env: m.Env, OnDemand: m.OnDemand, Collect: m.Collect,
		Limits: sandbox.DefaultLimits(),
	}
}

// Folder returns a new folder that every user can come to, unlike that of
// t.TempDir.
func Folder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

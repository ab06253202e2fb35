package images

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/languages"
)

// pretend puts a shell script on the PATH as mmdebstrap.
func pretend(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mmdebstrap"), []byte("#!/bin/sh\n"+script), 0o700); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

var bookworm = languages.Base{Debian: &languages.Debian{Suite: "bookworm"}}

func namesIn(t *testing.T, content []byte) (names []string) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := in.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

func TestADebianRootIsImportedWithoutItsDevices(t *testing.T) {
	pretend(t, `cd "$(mktemp -d)" && mkdir -p dev etc && touch dev/null etc/passwd && echo "I: creating tarball..." >&2 && tar -cf - ./dev ./etc; rm -r "$PWD"`)
	var said []string
	store := newFake()
	root, err := New(store, Config{}).importDebian(t.Context(), "base:1", bookworm, func(format string, _ ...any) { said = append(said, format) })
	if err != nil || root.ID != "base:1" {
		t.Fatalf("the root is %+v, %v", root, err)
	}
	if names, want := namesIn(t, store.roots["base:1"]), []string{"./dev/", "./etc/", "./etc/passwd"}; !slices.Equal(names, want) {
		t.Errorf("imported %q, want %q", names, want)
	}
	if !slices.Contains(said, "mmdebstrap: %s") {
		t.Errorf("the steps are not reported: %q", said)
	}
}

func TestAMmdebstrapThatFailsIsToldWithItsLogAndImportsNothing(t *testing.T) {
	for name, script := range map[string]string{
		"at once":               `echo "E: no such suite" >&2; exit 3`,
		"after a complete root": `tar -cf - -C / etc/passwd; echo "E: no such suite" >&2; exit 3`,
	} {
		t.Run(name, func(t *testing.T) {
			pretend(t, script)
			store := newFake()
			_, err := New(store, Config{}).importDebian(t.Context(), "base:1", bookworm, t.Logf)
			if err == nil || !strings.Contains(err.Error(), "no such suite") || !strings.Contains(err.Error(), "exit status 3") {
				t.Errorf("error %v, want mmdebstrap's", err)
			}
			if len(store.roots) != 0 {
				t.Error("the store got a complete tar")
			}
		})
	}
}

func TestMmdebstrapGetsTheRecipesPackages(t *testing.T) {
	args := debianArgs(languages.Debian{Suite: "bookworm", Packages: []string{"python3", "tzdata"}}, true)
	for _, want := range []string{"--include=usr-is-merged,python3,tzdata", "--mode=root", "--format=tar"} {
		if !slices.Contains(args, want) {
			t.Errorf("%q is not in %q", want, args)
		}
	}
	if got := args[len(args)-2:]; !slices.Equal(got, []string{"bookworm", "-"}) {
		t.Errorf("the last arguments are %q", got)
	}
	if slices.Contains(debianArgs(languages.Debian{}, false), "--mode=root") {
		t.Error("root mode is asked for without being root")
	}
}

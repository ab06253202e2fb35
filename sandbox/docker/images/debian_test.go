package images

import (
	"archive/tar"
	"io"
	"net/http"
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

// importer is an engine that reads the tar of an import and hands on the names
// in it, or the error that ended it.
func importer(names *[]string, failed *error) engine {
	return absent(func(r *http.Request) (*http.Response, error) {
		in := tar.NewReader(r.Body)
		for {
			h, err := in.Next()
			if err == io.EOF {
				_, *failed = io.Copy(io.Discard, r.Body)
				break
			}
			if err != nil {
				*failed = err
				break
			}
			*names = append(*names, h.Name)
		}
		if *failed != nil {
			return nil, *failed
		}
		return answer(http.StatusOK, strings.NewReader(`{"status": "sha256:abc"}`)), nil
	})
}

var bookworm = languages.Base{Debian: &languages.Debian{Suite: "bookworm"}}

func TestADebianRootIsImportedWithoutItsDevices(t *testing.T) {
	pretend(t, `cd "$(mktemp -d)" && mkdir -p dev etc && touch dev/null etc/passwd && echo "I: creating tarball..." >&2 && tar -cf - ./dev ./etc; rm -r "$PWD"`)
	var names, said []string
	var failed error
	id, err := builderOn(t, importer(&names, &failed)).importDebian(t.Context(), bookworm, func(format string, args ...any) {
		said = append(said, format)
	})
	if err != nil || failed != nil || id != "sha256:abc" {
		t.Fatalf("id %q, %v, %v", id, err, failed)
	}
	if want := []string{"./dev/", "./etc/", "./etc/passwd"}; !slices.Equal(names, want) {
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
			var names []string
			var failed error
			_, err := builderOn(t, importer(&names, &failed)).importDebian(t.Context(), bookworm, t.Logf)
			if err == nil || !strings.Contains(err.Error(), "no such suite") || !strings.Contains(err.Error(), "exit status 3") {
				t.Errorf("error %v, want mmdebstrap's", err)
			}
			if failed == nil {
				t.Error("the engine got a complete tar")
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

package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/languages"
)

func tarball(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	w := tar.NewWriter(zip)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if w.Close() != nil || zip.Close() != nil {
		t.Fatal("closing the tarball failed")
	}
	return buf.Bytes()
}

func fetchFrom(t *testing.T, content []byte, spec languages.NPM) (*npmPackage, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/@scope/lua-linux/-/lua-linux-1.2.3.tgz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	return New(nil, Config{NPMRegistry: server.URL + "/"}).fetchNPM(t.Context(), spec, func(string, ...any) {})
}

func specFor(content []byte) languages.NPM {
	digest := sha512.Sum512(content)
	return languages.NPM{
		Package: "@scope/lua-linux", Version: "1.2.3",
		Integrity: "sha512-" + base64.StdEncoding.EncodeToString(digest[:]),
		Files:     map[string]string{"package/bin/lua": "usr/local/bin/lua"},
	}
}

func TestAnNPMPackageGivesTheWantedFilesToTheRoot(t *testing.T) {
	content := tarball(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "package/README", Size: 3, Mode: 0o644},
		tar.Header{Typeflag: tar.TypeReg, Name: "package/bin/lua", Size: 5, Mode: 0o6775, Uid: 3})
	pkg, err := fetchFrom(t, content, specFor(content))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := pkg.writeTo(w); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&buf)
	h, err := r.Next()
	if err != nil || h.Name != "usr/local/bin/lua" || h.Mode != 0o755 || h.Uid != 0 || h.Size != 5 {
		t.Errorf("the entry is %+v, %v", h, err)
	}
	pkg.remove()
	checkEmptyTemp(t)
}

func TestAnNPMPackageThatIsNotWhatIsPinnedIsRefused(t *testing.T) {
	content := tarball(t, tar.Header{Typeflag: tar.TypeReg, Name: "package/bin/lua", Size: 5, Mode: 0o755})
	if _, err := fetchFrom(t, append(content, 'x'), specFor(content)); err == nil || !strings.Contains(err.Error(), "pins") {
		t.Errorf("error %v, want that it is not what the recipe pins", err)
	}
	checkEmptyTemp(t)
}

func TestAVersionThatTheRegistryLacksIsAnError(t *testing.T) {
	spec := specFor(nil)
	spec.Version = "9.9.9"
	if _, err := fetchFrom(t, nil, spec); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want one with 404", err)
	}
}

func TestAnNPMPackageWithoutAWantedFileIsRefused(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"missing": {Typeflag: tar.TypeReg, Name: "package/other"},
		"a link":  {Typeflag: tar.TypeSymlink, Name: "package/bin/lua", Linkname: "/etc/passwd"},
	} {
		content := tarball(t, h)
		pkg, err := fetchFrom(t, content, specFor(content))
		if err != nil {
			t.Fatal(err)
		}
		if err := pkg.writeTo(tar.NewWriter(&bytes.Buffer{})); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func checkEmptyTemp(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

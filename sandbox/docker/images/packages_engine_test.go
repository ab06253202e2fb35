package images

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

const packagesRepository = "preheat-packages-" // and the language's name

// withOwnPackages returns an embedded language under a name of the test's, with
// packages. What is kept of them is removed after the test.
func withOwnPackages(t *testing.T, b testBuilder, language string, p languages.Packages) languages.Folder {
	t.Helper()
	f := folderOf(t, language)
	f.Manifest.Name, f.Recipe.Packages = "test"+language, p
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, repository := range []string{"preheat-base-", packagesRepository} {
			if err := b.RemoveOthers(ctx, repository+f.Manifest.Name); err != nil {
				t.Error(err)
			}
		}
	})
	own := debianRoot(t, b, language) // it will do
	if err := b.cli.ImageTag(t.Context(), own, images.DebianRef(f.Manifest.Name, f.Recipe.Root())); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNPMPackagesAreFoundFromTheWorkFolder(t *testing.T) {
	b, cli := newTestBuilder(t)
	f := withOwnPackages(t, b, "node", languages.Packages{NPM: []string{"left-pad@1.3.0", "@sindresorhus/is@7.0.1"}})
	build(t, b, f, []byte("agent"), images.Options{Base: images.Debian})
	img, err := b.Build(t.Context(), f, []byte("another agent"), images.Options{Base: images.Debian}, func(line string) {
		if strings.Contains(line, "packages") {
			t.Errorf("they are installed again: %s", line)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, b, img.Ref, "node", "-p", `require("left-pad")("7", 3, "0")`); got != "007\n" {
		t.Errorf("require gives %q", got)
	}
	program := `import pad from "left-pad"; import is from "@sindresorhus/is"; console.log(pad("7", 3, "0"), is(""))`
	if got := output(t, b, img.Ref, "node", "--input-type=module", "-e", program); got != "007 string\n" {
		t.Errorf("import gives %q", got)
	}
	for name := range saved(t, cli, img.Ref) {
		if strings.HasPrefix(name, "tmp/") && name != "tmp/.read-only" || strings.HasSuffix(name, "bin/npm") {
			t.Errorf("%s is left over", name)
		}
	}
}

// wheelIndex serves a Python package's wheel as PyPI would, to whoever has the
// password.
func wheelIndex(t *testing.T, name, version string) string {
	t.Helper()
	var wheel bytes.Buffer
	w := zip.NewWriter(&wheel)
	info := name + "-" + version + ".dist-info/"
	for file, content := range map[string]string{
		name + ".py":      "def answer(): return 42\n",
		info + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n",
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "RECORD":   name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n",
	} {
		out, err := w.Create(file)
		if err == nil {
			_, err = out.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := name + "-" + version + "-py3-none-any.whl"
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch _, password, _ := r.BasicAuth(); {
		case password != "it's $ecret":
			rw.Header().Set("WWW-Authenticate", "Basic")
			rw.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/"+file:
			_, _ = rw.Write(wheel.Bytes())
		case r.URL.Path == "/simple/"+name+"/":
			fmt.Fprintf(rw, `<a href="/%s">%s</a>`, file, file)
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "//", "//user:it's%20$ecret@", 1) + "/simple"
}

func TestPipPackagesAreFoundFromTheWorkFolder(t *testing.T) {
	_, cli := newTestBuilder(t)
	b := builderWith(cli, images.Config{PackageEnv: []string{"PIP_INDEX_URL=" + wheelIndex(t, "probe", "1.2")}})
	f := withOwnPackages(t, b, "python", languages.Packages{Pip: []string{"probe==1.2"}})
	img := build(t, b, f, []byte("agent"), images.Options{Base: images.Debian})
	if got := output(t, b, img.Ref, "python3", "-c", "import probe; print(probe.answer())"); got != "42\n" {
		t.Errorf("import gives %q", got)
	}
	if got := output(t, b, img.Ref, "python3", "-m", "pip"); !strings.Contains(got, "No module named pip") {
		t.Errorf("pip is in the image: %s", got)
	}
	kept, err := cli.ImageList(t.Context(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", packagesRepository+f.Manifest.Name))})
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d images with the packages are kept, %v", len(kept), err)
	}
	for _, id := range []string{kept[0].ID, img.ID} {
		var raw bytes.Buffer
		if _, err := cli.ImageInspect(t.Context(), id, client.ImageInspectWithRawResponse(&raw)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(raw.String(), "ecret") {
			t.Errorf("the image %s has the password of the package index", id)
		}
	}
}

func TestAptPackagesAreInstalledInARegistrysImage(t *testing.T) {
	b, _ := newTestBuilder(t)
	f := folderOf(t, "lua")
	withApt := f
	withApt.Manifest.Name, withApt.Manifest.VersionCommand = "testapt", []string{"echo", "1.0"}
	withApt.Recipe = languages.Recipe{Base: languages.Base{Debian: &languages.Debian{Suite: "bookworm", Packages: []string{"apt"}}}}
	build(t, b, withApt, []byte("agent"), images.Options{})
	f.Manifest.Name, f.Recipe.Base = "testlua", languages.Base{Image: testPrefix + "registry:apt"}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, repository := range []string{packagesRepository + "testlua", "preheat-base-testapt"} {
			if err := b.RemoveOthers(ctx, repository); err != nil {
				t.Error(err)
			}
		}
		if err := b.removeImage(ctx, f.Recipe.Base.Image); err != nil {
			t.Error(err)
		}
	})
	if err := b.cli.ImageTag(t.Context(), images.DebianRef("testapt", withApt.Recipe.Base), f.Recipe.Base.Image); err != nil {
		t.Fatal(err)
	}
	img := build(t, b, f, []byte("agent"), images.Options{})
	if img.Base != images.Registry || !strings.HasPrefix(img.Version, "5.4") {
		t.Errorf("the image is %+v", img)
	}
	if got := output(t, b, img.Ref, "lua", "-e", "print(2 + 2)"); got != "4\n" {
		t.Errorf("lua printed %q", got)
	}
}

func TestAPackageThatIsNotThereIsToldWithTheToolsReason(t *testing.T) {
	b, _ := newTestBuilder(t)
	f := tinyFolder(t, b)
	f.Recipe.Packages.Apt = []string{"jq"}
	_, err := b.Build(t.Context(), f, []byte("agent"), images.Options{}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "apt packages need a base of Debian") {
		t.Errorf("error %v, want the reason", err)
	}
	checkNothingLeft(t, b, f)
}

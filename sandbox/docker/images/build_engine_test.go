package images

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

func TestEveryLanguagesImageIsLaidOutAsPromised(t *testing.T) {
	b, cli := newTestBuilder(t)
	agent := buildAgent(t, "hello")
	folders, err := languages.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		t.Run(f.Manifest.Name, func(t *testing.T) {
			img := build(t, b, f, agent, images.Options{})
			if img.Freshness != images.Fresh || img.Version == "" || img.Size == 0 || img.Created.IsZero() {
				t.Errorf("an unfinished image: %+v", img)
			}
			checkConfig(t, cli, f, img)
			checkLayer(t, f, saved(t, cli, img.Ref))
			if got := output(t, b, img.Ref, "/app/preheat-agent"); got != "hello" {
				t.Errorf("the agent in the image printed %q", got)
			}
			if got := output(t, b, img.Ref, f.Manifest.VersionCommand...); strings.TrimSpace(got) != img.Version {
				t.Errorf("version %q, want %q", got, img.Version)
			}
		})
	}
}

func checkConfig(t *testing.T, cli *client.Client, f languages.Folder, img images.Image) {
	t.Helper()
	found, err := cli.ImageInspect(t.Context(), img.Ref)
	if err != nil {
		t.Fatal(err)
	}
	c := found.Config
	if c.User != "65534:65534" || c.WorkingDir != "/work" || len(c.Entrypoint) != 0 || len(c.Cmd) != 0 {
		t.Errorf("the config is %+v", c)
	}
	if want := []string{"PATH=" + searchPath}; !slices.Equal(c.Env, want) {
		t.Errorf("env %q, want %q", c.Env, want)
	}
	if c.Labels[LabelLanguage] != f.Manifest.Name || c.Labels[LabelHash] != img.Hash || c.Labels[LabelVersion] != img.Version {
		t.Errorf("labels %v", c.Labels)
	}
}

func checkLayer(t *testing.T, f languages.Folder, entries map[string]*tar.Header) {
	t.Helper()
	for name, h := range entries {
		if h.Mode&0o7000 != 0 || h.Mode&0o022 != 0 && h.Typeflag != tar.TypeSymlink {
			t.Errorf("%s has mode %o", name, h.Mode)
		}
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", name, h.Uid, h.Gid)
		}
		for record := range h.PAXRecords {
			if strings.HasPrefix(record, "SCHILY.xattr.") {
				t.Errorf("%s has %s", name, record)
			}
		}
		for _, tool := range []string{"apt", "apt-get", "dpkg", "dpkg-deb", "pip", "pip3", "npm", "npx", "corepack", "yarn", "perl", "debconf", "mmdebstrap"} {
			if strings.HasSuffix(name, "bin/"+tool) {
				t.Errorf("%s is left over", name)
			}
		}
		for _, dir := range []string{"var/lib/", "var/cache/", "var/log/", "usr/share/doc/", "usr/share/man/", "usr/share/locale/", "etc/apt", "etc/dpkg", "root/", "work/", "dev/"} {
			if strings.HasPrefix(name, dir) {
				t.Errorf("%s is left over", name)
			}
		}
	}
	want := map[string]int64{"app": 0o555, "app/preheat-agent": 0o555, "work": 0o755, "etc/passwd": 0o644, "tmp": 0o755, "tmp/.read-only": 0o444}
	for _, file := range f.App {
		want["app/"+f.Manifest.Name+"/"+file.Name] = 0o444
	}
	for name, mode := range want {
		if h := entries[name]; h == nil || h.Mode != mode {
			t.Errorf("%s is %+v, want mode %o", name, h, mode)
		}
	}
	if h := entries["app"]; h != nil && h.Typeflag != tar.TypeDir {
		t.Error("/app is not a directory")
	}
}

func TestThePythonImageHasItsWholeLibraryCompiled(t *testing.T) {
	b, cli := newTestBuilder(t)
	img := build(t, b, folderOf(t, "python"), buildAgent(t, "hello"), images.Options{})
	entries := saved(t, cli, img.Ref)
	for name := range entries {
		dir, file := filepath.Split(name)
		if !strings.HasSuffix(file, ".py") || !strings.Contains(name, "lib/python3.") && !strings.HasPrefix(name, "app/python/") || strings.Contains(name, "dist-packages") {
			continue
		}
		pyc := dir + "__pycache__/" + strings.TrimSuffix(file, ".py") + ".cpython-311.pyc"
		if entries[pyc] == nil && entries[name].Typeflag == tar.TypeReg {
			t.Errorf("%s has no byte code", name)
		}
	}
	program := `
import asyncio, bz2, ctypes, ctypes.util, curses, decimal, distutils, hashlib, lzma, multiprocessing, readline, sqlite3, ssl, zlib, zoneinfo, glob, os, subprocess
for pyc in glob.glob(os.path.dirname(os.__file__) + '/**/*.pyc', recursive=True) + glob.glob('/app/python/**/*.pyc', recursive=True):
    assert open(pyc, 'rb').read(8)[4:] == b'\x01\0\0\0', pyc + ' is checked against its source'
assert zoneinfo.ZoneInfo('Europe/Paris')
assert sqlite3.connect(':memory:').execute('select 1').fetchone() == (1,)
assert ctypes.CDLL(ctypes.util.find_library('c')).getpid() == os.getpid()
assert subprocess.run(['bash', '-c', 'python -c "print(1)" | sort | wc -l'], capture_output=True).stdout == b'1\n'
print(ssl.OPENSSL_VERSION)
`
	if got := output(t, b, img.Ref, "python3", "-I", "-c", program); !strings.HasPrefix(got, "OpenSSL") {
		t.Errorf("the library check printed %s", got)
	}
}

func TestAnImageIsStaleOnceItsAgentChangesAndThenReplaced(t *testing.T) {
	b, cli := newTestBuilder(t)
	f := tinyFolder(t, b)
	first := build(t, b, f, []byte("agent one"), images.Options{})
	again := build(t, b, f, []byte("agent one"), images.Options{})
	if again.ID != first.ID {
		t.Error("a fresh image was built again")
	}
	list, err := b.List(t.Context(), []languages.Folder{f}, []byte("agent two"))
	if err != nil || list[0].Freshness != images.Stale || list[0].ID != first.ID {
		t.Fatalf("list %+v, %v; want it stale", list, err)
	}
	second := build(t, b, f, []byte("agent two"), images.Options{})
	if second.ID == first.ID || second.Freshness != images.Fresh {
		t.Errorf("the rebuilt image is %+v", second)
	}
	if _, err := cli.ImageInspect(t.Context(), first.ID); err == nil {
		t.Error("the replaced image is still there")
	}
	f.Manifest.Name = "absent"
	if list, err := b.List(t.Context(), []languages.Folder{f}, nil); err != nil || list[0].Freshness != images.Missing {
		t.Errorf("list %+v, %v; want it missing", list, err)
	}
}

// tinyFolder returns a folder whose base is a local image, as if it had been
// pulled before.
func tinyFolder(t *testing.T, b testBuilder) languages.Folder {
	t.Helper()
	base := debianRoot(t, b, "python")
	ref := testPrefix + "registry:" + strings.ToLower(strings.NewReplacer("/", "-").Replace(t.Name()))
	if err := b.cli.ImageTag(t.Context(), base, ref); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.removeImage(context.WithoutCancel(t.Context()), ref); err != nil {
			t.Error(err)
		}
	})
	return languages.Folder{
		Manifest: languages.Manifest{Name: "tiny", VersionCommand: []string{"echo", "1.0"}},
		Recipe:   languages.Recipe{Base: languages.Base{Image: ref}},
		App:      []languages.File{{Name: "warm.sh", Content: []byte("true\n")}},
	}
}

func TestALocalRegistryImageIsTakenWithoutAPull(t *testing.T) {
	b, cli := newTestBuilder(t)
	f := tinyFolder(t, b)
	f.Recipe.Setup = []string{"echo made > /app/tiny/made", "chmod 4755 /bin/sh", "mkfifo /etc/pipe", "rm -rf /work", "ln -s /etc /work"}
	img := build(t, b, f, []byte("agent"), images.Options{Base: images.Registry})
	if img.Base != images.Registry || img.Version != "1.0" {
		t.Errorf("the image is %+v", img)
	}
	entries := saved(t, cli, img.Ref)
	checkLayerBits(t, entries)
	if h := entries["app/tiny/made"]; h == nil || h.Mode != 0o444 {
		t.Errorf("what setup made in the app folder is %+v", h)
	}
	if entries["etc/pipe"] != nil || entries["work"].Typeflag != tar.TypeDir {
		t.Error("a pipe, or a link called /work, came through")
	}
}

func checkLayerBits(t *testing.T, entries map[string]*tar.Header) {
	t.Helper()
	for name, h := range entries {
		if h.Mode&0o7000 != 0 {
			t.Errorf("%s has mode %o", name, h.Mode)
		}
	}
}

// leavings counts what the engine has of ours: containers, and images without a
// name.
func leavings(t *testing.T, b testBuilder, f languages.Folder) (containers, dangling int) {
	t.Helper()
	cs, err := b.cli.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelStep+"="+f.Manifest.Name))})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range danglingImages(t, b.cli) {
		if img.Labels[LabelLanguage] == f.Manifest.Name {
			dangling++
		}
	}
	return len(cs), dangling
}

func danglingImages(t *testing.T, cli *client.Client) []image.Summary {
	t.Helper()
	found, err := cli.ImageList(t.Context(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("dangling", "true"))})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAFailedBuildLeavesNothingAndTagsNothing(t *testing.T) {
	b, _ := newTestBuilder(t)
	cases := []struct {
		name   string
		change func(*languages.Folder)
		want   string
	}{
		{"setup fails", func(f *languages.Folder) { f.Recipe.Setup = []string{"echo some reason", "false"} }, "some reason"},
		{"version is not one", func(f *languages.Folder) { f.Manifest.VersionCommand = []string{"echo", "not a version"} }, "not a version"},
		{"hard link to a removed file", func(f *languages.Folder) {
			f.Recipe.Setup, f.Recipe.Remove = []string{"ln /etc/passwd /etc/aaa"}, []string{"etc/aaa"}
		}, "hard link"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := tinyFolder(t, b)
			c.change(&f)
			_, err := b.Build(t.Context(), f, []byte("agent"), images.Options{}, func(string) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			checkNothingLeft(t, b, f)
		})
	}
}

func TestACancelledBuildLeavesNothing(t *testing.T) {
	b, _ := newTestBuilder(t)
	f := tinyFolder(t, b)
	f.Recipe.Setup = []string{"sleep 60"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := b.Build(ctx, f, []byte("agent"), images.Options{}, func(line string) {
		if strings.Contains(line, "setup") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	checkNothingLeft(t, b, f)
}

func TestACancelledDebianBaseLeavesNothingBehind(t *testing.T) {
	b, cli := newTestBuilder(t)
	f := tinyFolder(t, b)
	f.Manifest.Name, f.Recipe.Base = "cancelled", folderOf(t, "python").Recipe.Base
	t.Setenv("TMPDIR", t.TempDir())
	before := len(danglingImages(t, cli))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := b.Build(ctx, f, []byte("agent"), images.Options{Base: images.Debian}, func(line string) {
		if strings.Contains(line, "extracting archives") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("mmdebstrap left %v, %v", left, err)
	}
	if after := len(danglingImages(t, cli)); after > before {
		t.Errorf("%d images without a name, %d before", after, before)
	}
}

func checkNothingLeft(t *testing.T, b testBuilder, f languages.Folder) {
	t.Helper()
	if containers, dangling := leavings(t, b, f); containers != 0 || dangling != 0 {
		t.Errorf("%d containers and %d images are left", containers, dangling)
	}
	if list, err := b.List(t.Context(), []languages.Folder{f}, nil); err != nil || list[0].Freshness != images.Missing {
		t.Errorf("list %+v, %v; want it missing", list, err)
	}
}

func TestAFinishedImageIsExportedAndNothingStays(t *testing.T) {
	b, _ := newTestBuilder(t)
	f := tinyFolder(t, b)
	if root, img, err := b.Export(t.Context(), f, []byte("agent")); err != nil || root != nil || img.Freshness != images.Missing {
		t.Errorf("without an image: %+v, %v", img, err)
	}
	build(t, b, f, []byte("agent"), images.Options{})
	if root, img, err := b.Export(t.Context(), f, []byte("another")); err != nil || root != nil || img.Freshness != images.Stale {
		t.Errorf("a stale one: %+v, %v", img, err)
	}
	root, img, err := b.Export(t.Context(), f, []byte("agent"))
	if err != nil || img.Version != "1.0" {
		t.Fatalf("the image is %+v, %v", img, err)
	}
	names := make(map[string]bool)
	for in := tar.NewReader(root); ; {
		h, err := in.Next()
		if err != nil {
			break
		}
		names[h.Name] = true
	}
	if !names["app/preheat-agent"] || !names["app/tiny/warm.sh"] {
		t.Errorf("what is exported lacks the agent: %d entries", len(names))
	}
	if err := root.Close(); err != nil {
		t.Error(err)
	}
	if containers, _ := leavings(t, b, f); containers != 0 {
		t.Errorf("%d containers are left", containers)
	}
}

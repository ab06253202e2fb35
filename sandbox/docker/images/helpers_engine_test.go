package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// testPrefix keeps the tests' images apart from those that serve.
const testPrefix = "preheat-test-images-"

// testBuilder is a builder and its store.
type testBuilder struct {
	*images.Builder
	*Store
}

func newTestBuilder(t *testing.T) (testBuilder, *client.Client) {
	t.Helper()
	cli := enginetest.Client(t)
	cfg := images.Config{NPMRegistry: os.Getenv("npm_config_registry")}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		var err error
		if cfg.CACerts, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return builderWith(cli, cfg), cli
}

func builderWith(cli *client.Client, cfg images.Config) testBuilder {
	store := New(cli, testPrefix)
	return testBuilder{images.New(store, cfg), store}
}

// buildAgent compiles a static program that prints a word.
func buildAgent(t *testing.T, word string) []byte {
	t.Helper()
	dir := t.TempDir()
	source := "package main\n\nfunc main() { print(" + `"` + word + `"` + ") }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", "agent", "main.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	agent, err := os.ReadFile(filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

func folderOf(t *testing.T, name string) languages.Folder {
	t.Helper()
	folders, err := languages.All()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(folders, func(f languages.Folder) bool { return f.Manifest.Name == name })
	if i < 0 {
		t.Fatalf("there is no language %s", name)
	}
	return folders[i]
}

// build builds f's image and removes it after the test.
func build(t *testing.T, b testBuilder, f languages.Folder, agent []byte, o images.Options) images.Image {
	t.Helper()
	t.Cleanup(func() {
		if err := b.removeImage(context.WithoutCancel(t.Context()), b.Ref(f.Manifest.Name)); err != nil {
			t.Error(err)
		}
	})
	img, err := b.Build(t.Context(), f, agent, o, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// create makes a container of the image that runs cmd as the image's user.
func create(t *testing.T, cli *client.Client, ref string, cmd ...string) string {
	t.Helper()
	c, err := cli.ContainerCreate(t.Context(), &container.Config{Image: ref, Cmd: cmd},
		&container.HostConfig{NetworkMode: "none", ReadonlyRootfs: true, LogConfig: container.LogConfig{Type: "json-file"}}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t.Context())
		defer cancel()
		if err := cli.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	return c.ID
}

// output runs cmd in the image and returns what it printed.
func output(t *testing.T, b testBuilder, ref string, cmd ...string) string {
	t.Helper()
	id := create(t, b.cli, ref, cmd...)
	if err := b.cli.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	done, failed := b.cli.ContainerWait(t.Context(), id, container.WaitConditionNotRunning)
	select {
	case <-done:
	case err := <-failed:
		t.Fatal(err)
	}
	stdout, stderr, err := b.logs(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return stdout + stderr
}

// saved returns the entries of the image's one layer. It does not look at a
// container's root, for the engine adds to that.
func saved(t *testing.T, cli *client.Client, ref string) map[string]*tar.Header {
	t.Helper()
	body, err := cli.ImageSave(t.Context(), []string{ref})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var layer []byte
	layers := 0
	for outer := tar.NewReader(body); ; {
		h, err := outer.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(outer)
		if err != nil {
			t.Fatal(err)
		}
		inner := tar.NewReader(bytes.NewReader(data))
		if _, err := inner.Next(); h.Typeflag == tar.TypeReg && len(data) > 1024 && err == nil {
			layer, layers = data, layers+1
		}
	}
	if layers != 1 {
		t.Fatalf("the image has %d layers, not one", layers)
	}
	entries := make(map[string]*tar.Header)
	for inner := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := inner.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		entries[strings.Trim(h.Name, "/")] = h
	}
}

// debianRoot returns the Debian root of an embedded language, from which its own
// image is made, too.
func debianRoot(t *testing.T, b testBuilder, language string) string {
	t.Helper()
	f := folderOf(t, language)
	ref := images.DebianRef(language, f.Recipe.Root())
	root, err := b.Root(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if root.ID == "" {
		build(t, b, f, []byte("agent"), images.Options{Base: images.Debian})
	}
	return ref
}

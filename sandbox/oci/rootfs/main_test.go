package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// victimDir, where it is set, has a base for a process that builds from it until
// it is killed.
const victimDir = "PREHEAT_TEST_ROOTFS_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		f := tiny("sleep 1000")
		s, err := New(Config{Dir: dir, Runtime: os.Getenv("PREHEAT_TEST_ROOTFS_RUNTIME")})
		if err == nil {
			_, err = images.New(s, images.Config{}).Build(context.Background(), f, []byte("agent"), images.Options{}, func(string) {})
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// needsRoot says that a test runs steps, or mounts.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("PREHEAT_ENGINE") == "required" {
		t.Fatal("PREHEAT_ENGINE=required, but this test needs root")
	}
	t.Skip("needs root")
}

// runtimes are those on this machine.
func runtimes(t *testing.T) []string {
	t.Helper()
	needsRoot(t)
	var found []string
	for _, name := range []string{"runc", "crun"} {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		}
	}
	if len(found) == 0 && os.Getenv("PREHEAT_ENGINE") == "required" {
		t.Fatal("PREHEAT_ENGINE=required, but there is neither runc nor crun")
	}
	if len(found) == 0 {
		t.Skip("needs runc or crun")
	}
	return found
}

func newStore(t *testing.T) *Store {
	t.Helper()
	return storeIn(t, t.TempDir(), runtimes(t)[0])
}

func storeIn(t *testing.T, dir, runtime string) *Store {
	t.Helper()
	s, err := New(Config{Dir: dir, Runtime: runtime})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is a tar's header and the content that it stands for.
type entry struct {
	tar.Header
	content string
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.content != "" {
			e.Size = int64(len(e.content))
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content}
}

func folder(name string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, ""}
}

func link(kind byte, name, target string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

var libraryRule = regexp.MustCompile(`/\S+`)

// baseEntries are a root with this machine's shell in it, and little else.
func baseEntries(t *testing.T) []entry {
	t.Helper()
	entries := []entry{folder("etc", 0o755), file("etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644), folder("var/secret", 0o700)}
	seen := make(map[string]bool)
	add := func(from, to string, mode int64) {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if !seen[to] {
			entries = append(entries, file(strings.TrimPrefix(to, "/"), string(content), mode))
		}
		seen[to] = true
	}
	for _, tool := range []string{"sh", "sleep"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		add(path, "/bin/"+tool, 0o4755)
		libraries, err := exec.CommandContext(t.Context(), "ldd", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, library := range libraryRule.FindAllString(string(libraries), -1) {
			add(library, library, 0o755)
		}
	}
	return entries
}

const tinyRef = "registry.invalid/tiny:1"

// tiny is a language whose base is tinyRef.
func tiny(setup ...string) languages.Folder {
	return languages.Folder{
		Manifest: languages.Manifest{Name: "tiny", VersionCommand: []string{"sh", "-c", "echo 1.0"}},
		Recipe:   languages.Recipe{Base: languages.Base{Image: tinyRef}, Setup: setup},
		App:      []languages.File{{Name: "warm.sh", Content: []byte("true\n")}},
	}
}

// giveBase keeps tiny's base in the store.
func giveBase(t *testing.T, s *Store) {
	t.Helper()
	content := tarOf(t, baseEntries(t)...)
	_, err := s.Import(t.Context(), tinyRef, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, s *Store, f languages.Folder, agent string) (images.Image, error) {
	t.Helper()
	return images.New(s, images.Config{}).Build(t.Context(), f, []byte(agent), images.Options{}, func(line string) { t.Log(line) })
}

func mustBuild(t *testing.T, s *Store, f languages.Folder, agent string) images.Image {
	t.Helper()
	img, err := build(t, s, f, agent)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func read(t *testing.T, img images.Image, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(img.ID, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// checkNothingLeft looks for work, processes and mounts of the store's.
func checkNothingLeft(t *testing.T, s *Store) {
	t.Helper()
	left, err := os.ReadDir(s.newDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) != 0 {
		t.Errorf("left in new/: %v, %v", left, err)
	}
	if pids := processes(t, s.newDir()); len(pids) != 0 {
		t.Errorf("the processes %q still run", pids)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), s.newDir()) {
		t.Errorf("mounts are left: %v\n%s", err, mounts)
	}
}

// processes returns those that have dir on their command line, and those in the
// container of a runtime that has.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	works, _ := filepath.Glob(filepath.Join(dir, "*"+lockSuffix))
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		command, _ := os.ReadFile(line) // it may have ended
		groups, _ := os.ReadFile(filepath.Join(filepath.Dir(line), "cgroup"))
		matches := strings.Contains(string(command), dir)
		for _, w := range works {
			matches = matches || strings.Contains(string(groups), "preheat-step-"+strings.TrimSuffix(filepath.Base(w), lockSuffix))
		}
		if matches {
			found = append(found, line+": "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

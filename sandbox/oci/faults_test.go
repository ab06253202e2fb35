package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/oci/ocitest"
)

// script makes an executable that stands where a runtime is expected.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runtime")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A launch that fails says why, and newDriver's clean-up finds nothing of it.
func TestARuntimeThatFailsIsAClearError(t *testing.T) {
	d := newDriver(t)
	for name, test := range map[string]struct {
		runtime, reason, says string
	}{
		"missing":         {"no-such-runtime", reasonRuntimeMissing, "no-such-runtime is not on PATH"},
		"gVisor missing":  {"runsc-of-nobody", reasonRuntimeMissing, "make runsc"},
		"no executable":   {script(t, "") + "x", reasonRuntimeMissing, "is not on PATH"},
		"broken":          {script(t, "echo 'no good' >&2; exit 1"), reasonRefused, "no good"},
		"of another make": {script(t, "exec /nonexistent"), reasonRefused, "exit status"},
		"killed":          {script(t, "kill -9 $$"), reasonRefused, "signal: killed"},
		"making nothing":  {script(t, ""), reasonNotWarm, "ended before it was warm"},
		"slow":            {script(t, "exec sleep 60"), reasonNotWarm, "was not warm after 1s"},
		"talking":         {script(t, "exec yes >&2"), reasonNotWarm, "was not warm after 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			lang := ocitest.Language(t, "python")
			lang.Runtime, lang.Limits.Warmup = test.runtime, time.Second
			s, err := d.Launch(t.Context(), lang)
			if err == nil {
				s.Destroy(t.Context())
				t.Fatal("it was launched")
			}
			if LaunchReason(err) != test.reason || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v; want %s, %q", LaunchReason(err), err, test.reason, test.says)
			}
		})
	}
}

// Wherever in its work the runtime is killed, nothing of the sandbox stays.
func TestARuntimeThatIsKilledHalfwayLeavesNothing(t *testing.T) {
	d := newDriver(t)
	for _, name := range runtimes(t) {
		real, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for delay := range 8 {
			lang := ocitest.Language(t, "python")
			lang.Limits.Warmup = 10 * time.Second
			lang.Runtime = filepath.Join(t.TempDir(), name) // its name decides what it is told
			text := fmt.Sprintf("#!/bin/sh\n%s \"$@\" <&0 & p=$!; sleep 0.0%d; kill -9 $p; wait $p\n", real, 5*delay)
			if err := os.WriteFile(lang.Runtime, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			if s, err := d.Launch(t.Context(), lang); err == nil { // it was faster
				if err := s.Destroy(t.Context()); err != nil {
					t.Error(err)
				}
			}
			nothingIsLeft(t, d)
		}
	}
}

// Nor do zombies stay of what was made.
func TestEveryProcessIsBuried(t *testing.T) {
	for _, name := range runtimes(t) {
		d := newDriver(t)
		lang := ocitest.Language(t, "python")
		lang.Runtime = name
		for range 5 {
			launch(t, d, lang).Destroy(t.Context())
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			out, err := exec.CommandContext(t.Context(), "ps", "-o", "stat=,comm=", "--ppid", fmt.Sprint(os.Getpid())).Output()
			if err != nil {
				t.Fatal(err)
			}
			left := strings.Count(string(out), "\n") - 1 // ps itself
			if left == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d children are left:\n%s", name, left, out)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// nothingIsLeft looks for sandboxes, and for processes and mounts of any.
func nothingIsLeft(t *testing.T, d *Driver) {
	t.Helper()
	if left := live(t, d); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil || len(all) == 0 {
		t.Fatalf("no processes can be seen: %v", err)
	}
	for _, file := range append(all, "/proc/self/mountinfo") {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), d.key) {
			t.Errorf("%s tells of one: %s", file, text)
		}
	}
}

func TestATreeThatIsMissingIsAClearError(t *testing.T) {
	lang := ocitest.Language(t, "python")
	lang.Image = t.TempDir()
	_, err := newDriver(t).Launch(t.Context(), lang)
	if LaunchReason(err) != reasonImageMissing || !strings.Contains(err.Error(), "preheat images build") {
		t.Errorf("%v", err)
	}
}

func TestAFolderThatNobodyReachesIsAClearError(t *testing.T) {
	_, err := New(Config{Instance: t.Name(), Folder: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "chmod o+x") {
		t.Errorf("%v", err)
	}
}

func TestAFullDiskIsAClearError(t *testing.T) {
	dir := ocitest.Folder(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k,mode=711"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	d, err := New(Config{Instance: t.Name(), Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if _, err := d.Launch(t.Context(), ocitest.Language(t, "python")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want no space left", err)
	}
	nothingIsLeft(t, d)
}

// With version 2, the users of a sandbox go through its cgroup's folders when the
// cgroup is mounted.
func TestASandboxIsMadeWhateverTheUmaskIs(t *testing.T) {
	cfg := Config{Instance: fmt.Sprint(t.Name(), time.Now().UnixNano()), Folder: ocitest.Folder(t)}
	mask := unix.Umask(0o077)
	t.Cleanup(func() { unix.Umask(mask) })
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	for _, name := range runtimes(t) {
		lang := ocitest.Language(t, "python")
		lang.Runtime = name
		launch(t, d, lang)
	}
}

// readonlyCgroups is set where the test runs itself in a mount namespace.
const readonlyCgroups = "PREHEAT_TEST_READONLY_CGROUPS"

func TestCgroupsThatCannotBeWrittenAreAClearError(t *testing.T) {
	if os.Getenv(readonlyCgroups) == "" {
		self := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		self.Env = append(os.Environ(), readonlyCgroups+"=yes")
		self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := self.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	h, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range h.mounts {
		if err := unix.Mount("", mount, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	}
	d, err := New(Config{Instance: t.Name(), Folder: ocitest.Folder(t)})
	if err == nil { // with version 1 it is the runtime that finds out
		_, err = d.Launch(t.Context(), ocitest.Language(t, "python"))
		nothingIsLeft(t, d)
		d.Close()
	}
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "read-only file system") {
		t.Errorf("%v, want one about a read-only file system", err)
	}
}

func TestWhatACrashLeftIsReaped(t *testing.T) {
	cfg := Config{Instance: fmt.Sprint(t.Name(), time.Now().UnixNano()), Folder: ocitest.Folder(t)}
	crashed, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	lang := ocitest.Language(t, "python")
	whole, noFolder, noCgroup := lost(t, crashed, lang), lost(t, crashed, lang), lost(t, crashed, lang)
	if err := errors.Join(os.RemoveAll(noFolder.folder), noCgroup.cgroup.kill(t.Context()), noCgroup.cgroup.remove(t.Context())); err != nil {
		t.Fatal(err)
	}
	crashed.starter.close()
	signal.Stop(crashed.ended)
	close(crashed.ended)
	crashed.tasks.Wait()

	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if n, err := d.Reap(t.Context()); n != 3 || err != nil {
		t.Errorf("reaped %d, %v; want 3", n, err)
	}
	nothingIsLeft(t, d)
	for _, s := range []*Sandbox{whole, noFolder, noCgroup} {
		s.conn.Close()
	}
}

// lost launches a sandbox that nobody destroys.
func lost(t *testing.T, d *Driver, lang sandbox.Language) *Sandbox {
	t.Helper()
	s, err := d.Launch(context.WithoutCancel(t.Context()), lang)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Sandbox)
}

func TestOnlyWhatOthersLeftLongAgoIsReaped(t *testing.T) {
	folder := ocitest.Folder(t)
	theirs, err := New(Config{Instance: t.Name() + "theirs", Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	lang := ocitest.Language(t, "python")
	idle, ended := launch(t, theirs, lang), launch(t, theirs, lang)
	ours, err := New(Config{Instance: t.Name(), Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	long := time.Now().Add(-2 * orphanAge)
	if err := errors.Join(os.Chtimes(idle.folder, long, long), ended.cgroup.kill(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Reap(t.Context()); n != 0 || err != nil {
		t.Errorf("reaped %d, %v, while one lives and one has just ended", n, err)
	}
	if err := os.Chtimes(ended.folder, long, long); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Reap(t.Context()); n != 1 || err != nil {
		t.Errorf("reaped %d, %v; want the one that ended", n, err)
	}
}

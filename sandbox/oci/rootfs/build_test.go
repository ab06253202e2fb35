package rootfs

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
)

// show is a setup that writes what its container is like to /app/tiny.
const show = `umask 0
echo made > /app/tiny/made
while read -r line; do echo "$line"; done < /proc/self/status > /app/tiny/status
while read -r line; do echo "$line"; done < /proc/net/dev > /app/tiny/net
echo more > /etc/more
( : < /dev/mem ) 2> /dev/null && exit 9
test -w /proc/sys/kernel/core_pattern && (: > /proc/sys/kernel/core_pattern) 2> /dev/null && exit 9
test $$ = 1`

func TestAnImageIsMadeInAPlainContainer(t *testing.T) {
	for _, runtime := range runtimes(t) {
		t.Run(runtime, func(t *testing.T) {
			s := storeIn(t, t.TempDir(), runtime)
			giveBase(t, s)
			f := tiny(show)
			img := mustBuild(t, s, f, "agent")
			if img.Freshness != images.Fresh || img.Version != "1.0" || img.Base != images.Registry || img.Size == 0 || img.Created.IsZero() || img.Ref != filepath.Dir(img.ID) {
				t.Errorf("the image is %+v", img)
			}
			if read(t, img, "app/preheat-agent") != "agent" || read(t, img, "app/tiny/made") != "made\n" || read(t, img, "etc/more") != "more\n" {
				t.Error("the agent, or what setup made, is not as it was")
			}
			status := read(t, img, "app/tiny/status")
			for _, want := range []string{"NoNewPrivs:\t1", "CapEff:\t00000000a80405fb", "CapBnd:\t00000000a80405fb"} { // 0xa80425fb without NET_RAW
				if !strings.Contains(status, want+"\n") {
					t.Errorf("the step's status lacks %q:\n%s", want, status)
				}
			}
			if net := read(t, img, "app/tiny/net"); strings.Count(net, ":") > 1 {
				t.Errorf("the step has a network:\n%s", net)
			}
			checkTree(t, img)
			checkNothingLeft(t, s)
			list, err := images.New(s, images.Config{}).List(t.Context(), []languages.Folder{f}, []byte("agent"))
			if err != nil || list[0] != img {
				t.Errorf("the list is %+v, %v", list, err)
			}
		})
	}
}

// checkTree looks for what a sandbox's tree may not have.
func checkTree(t *testing.T, img images.Image) {
	t.Helper()
	for dir := img.ID; dir != filepath.Dir(img.Ref); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s has mode %v, %v", dir, info.Mode(), err)
		}
	}
	for _, name := range []string{"dev", "proc", "sys", "work", "tmp", "app"} {
		if info, err := os.Lstat(filepath.Join(img.ID, name)); err != nil || !info.IsDir() || info.Mode().Perm()&0o055 != 0o055 {
			t.Errorf("/%s cannot be mounted over: %v", name, err)
		}
	}
	err := filepath.WalkDir(img.ID, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode(); mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0 ||
			mode&fs.ModeSymlink == 0 && mode.Perm()&0o022 != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil || stat.Uid != 0 || stat.Gid != 0 {
			t.Errorf("%s belongs to %d:%d, %v", path, stat.Uid, stat.Gid, err)
		}
		if n, err := unix.Llistxattr(path, nil); n > 0 {
			t.Errorf("%s has attributes: %d, %v", path, n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	var r record
	data, err := os.ReadFile(filepath.Join(img.Ref, recordName))
	if err = errors.Join(err, json.Unmarshal(data, &r)); err != nil || r.Hash != img.Hash || r.Language != img.Language || r.Size != img.Size {
		t.Errorf("%s is %s, %v", recordName, data, err)
	}
}

func TestAStepWithANetworkHasTheMachines(t *testing.T) {
	s := newStore(t)
	giveBase(t, s)
	root, err := s.Root(t.Context(), tinyRef)
	if err != nil {
		t.Fatal(err)
	}
	step := images.Step{
		What: "the test", Root: root.ID, Network: true, Write: func(*tar.Writer) error { return nil },
		Command: []string{"sh", "-c", `while read -r line; do echo "$line"; done < /proc/net/dev; while read -r line; do echo "$line"; done < /etc/hosts`},
	}
	var kept images.Root
	err = s.Run(t.Context(), step, func(ctx context.Context, done images.Changed) (err error) {
		hosts, _ := os.ReadFile("/etc/hosts")
		if !strings.Contains(done.Output, "lo:") || !strings.Contains(done.Output, strings.TrimSpace(strings.SplitN(string(hosts), "\n", 2)[0])) {
			t.Errorf("it saw %s", done.Output)
		}
		kept, err = done.Keep(ctx, "preheat-packages-tiny:1")
		return err
	})
	if err != nil || kept.ID == "" || kept.Stamp == root.Stamp {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if err := s.RemoveOthers(t.Context(), "preheat-packages-tiny:2"); err != nil {
		t.Error(err)
	}
	if gone, err := s.Root(t.Context(), "preheat-packages-tiny:1"); err != nil || gone.ID != "" {
		t.Errorf("the other root is %+v, %v", gone, err)
	}
	if still, err := s.Root(t.Context(), tinyRef); err != nil || still != root {
		t.Errorf("the base is %+v, %v", still, err)
	}
	checkNothingLeft(t, s)
}

func TestABuildThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	s := newStore(t)
	giveBase(t, s)
	for name, c := range map[string]struct {
		setup, runtime, want string
	}{
		"setup fails":           {"echo some reason; exit 3", s.runtime, "some reason"},
		"it prints for ever":    {"i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo the end; exit 3", s.runtime, "the end"},
		"too many processes":    {"while :; do sleep 100 & done", s.runtime, "fork"},
		"the runtime fails":     {"exit 0", "false", "the setup"},
		"the runtime is absent": {"exit 0", "/no/such/runtime", "/no/such/runtime"},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeIn(t, s.dir, c.runtime)
			_, err := build(t, s, tiny(c.setup), "agent")
			if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 4096 {
				t.Errorf("error %.5000v, want a short one with %q", err, c.want)
			}
			if img, err := s.Image(t.Context(), "tiny", ""); err != nil || img.Freshness != images.Missing {
				t.Errorf("the image is %+v, %v", img, err)
			}
			checkNothingLeft(t, s)
		})
	}
}

func TestACancelledBuildLeavesNothing(t *testing.T) {
	for _, runtime := range runtimes(t) {
		t.Run(runtime, func(t *testing.T) {
			s := storeIn(t, t.TempDir(), runtime)
			giveBase(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var watch sync.WaitGroup
			watch.Go(func() {
				defer cancel()
				waitFor(t, func() bool { return running(t, s) })
			})
			_, err := images.New(s, images.Config{}).Build(ctx, tiny("sleep 1000"), []byte("agent"), images.Options{}, func(string) {})
			watch.Wait()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want context.Canceled", err)
			}
			checkNothingLeft(t, s)
		})
	}
}

// waitFor polls until done is true.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if done() {
			return
		}
		<-tick.C
	}
	t.Error("what was waited for has not come")
}

// running reports whether a step of the store is at its sleep.
func running(t *testing.T, s *Store) bool {
	for _, p := range processes(t, s.newDir()) {
		if strings.Contains(p, ": sleep 1000") {
			return true
		}
	}
	return false
}

func TestWhatAKilledBuilderLeftIsSweptAway(t *testing.T) {
	for _, runtime := range runtimes(t) {
		t.Run(runtime, func(t *testing.T) {
			s := storeIn(t, t.TempDir(), runtime)
			giveBase(t, s)
			victim := exec.CommandContext(t.Context(), os.Args[0])
			victim.Env = append(os.Environ(), victimDir+"="+s.dir, "PREHEAT_TEST_ROOTFS_RUNTIME="+runtime)
			victim.Stderr = os.Stderr
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return running(t, s) })
			if err := s.Sweep(t.Context()); err != nil || !running(t, s) {
				t.Errorf("a builder that works is swept away: %v", err)
			}
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = victim.Wait()
			if !running(t, s) {
				t.Error("its step ended with it, so this test shows nothing")
			}
			if err := storeIn(t, s.dir, "/another/runtime").Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			waitFor(t, func() bool { return !running(t, s) })
			mustBuild(t, s, tiny("true"), "agent")
			checkNothingLeft(t, s)
		})
	}
}

func TestTwoBuildersMakeOneTree(t *testing.T) {
	s := newStore(t)
	giveBase(t, s)
	var builders sync.WaitGroup
	var got [2]images.Image
	for i := range got {
		builders.Go(func() {
			img, err := build(t, storeIn(t, s.dir, s.runtime), tiny("true"), "agent")
			if err != nil {
				t.Error(err)
			}
			got[i] = img
		})
	}
	builders.Wait()
	if got[0] != got[1] || got[0].Freshness != images.Fresh {
		t.Errorf("one has %+v, the other %+v", got[0], got[1])
	}
	if trees, err := s.trees("tiny"); err != nil || len(trees) != 1 {
		t.Errorf("the trees are %q, %v", trees, err)
	}
	checkNothingLeft(t, s)
}

func TestTheStoresFoldersHaveTheirModesWhateverTheUmask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	dir := filepath.Join(t.TempDir(), "data", "images")
	if err := storeIn(t, dir, "runc").make(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o755, filepath.Join(dir, "new"): 0o700, filepath.Join(dir, "roots"): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestABuilderThatWaitsForAnotherCanBeCancelled(t *testing.T) {
	s := storeIn(t, t.TempDir(), "runc")
	first, err := s.Lock(t.Context(), "tiny", func() { t.Error("it waits") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := s.Lock(ctx, "tiny", cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	other, err := s.Lock(t.Context(), "other", func() { t.Error("it waits") })
	if err = errors.Join(err, first.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := s.Lock(t.Context(), "tiny", func() { t.Error("it waits") })
	if err = errors.Join(err, again.Close(), other.Close()); err != nil {
		t.Error(err)
	}
}

func TestATreeStaysWhileItIsHeld(t *testing.T) {
	s := newStore(t)
	giveBase(t, s)
	first := mustBuild(t, s, tiny("true"), "agent one")
	held, err := Hold(first.ID)
	if err != nil {
		t.Fatal(err)
	}
	second := mustBuild(t, s, tiny("true"), "agent two")
	if second.ID == first.ID || read(t, first, "app/preheat-agent") != "agent one" {
		t.Error("the tree that is held is not as it was")
	}
	if img, err := s.Image(t.Context(), "tiny", first.Hash); err != nil || img != first {
		t.Errorf("of two trees %+v is taken, %v", img, err)
	}
	if img, err := s.Image(t.Context(), "tiny", "another"); err != nil || img.ID != second.ID || img.Freshness != images.Stale {
		t.Errorf("of two stale trees %+v is taken, %v", img, err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	mustBuild(t, s, tiny("true"), "agent three")
	for _, old := range []images.Image{first, second} {
		if _, err := Hold(old.ID); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("holding %s: %v, want fs.ErrNotExist", old.Ref, err)
		}
	}
	checkNothingLeft(t, s)
}

func TestAFullDiskIsToldAndLeavesNothing(t *testing.T) {
	runtime := runtimes(t)[0]
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := storeIn(t, dir, runtime)
	giveBase(t, s)
	_, err := build(t, s, tiny("true"), strings.Repeat("agent", 2<<20))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("error %v, want that the disk is full", err)
	}
	if left, err := os.ReadDir(s.newDir()); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	mustBuild(t, s, tiny("true"), "agent")
}

package oci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// starter starts runtimes in a mount namespace of its own, of which nothing is
// seen outside. There the languages' trees are mounted, read-only, below a folder
// that the users of sandboxes can reach, so that the folder of data need not be
// open to them; and crun, which refuses a machine that has controllers in both
// versions of cgroups, sees an empty folder in place of the one mount.
//
// Only root can have a mount namespace. For others it starts runtimes as they are.
type starter struct {
	folder string    // of the trees; in the namespace, a file system of its own
	view   string    // the root of the namespace, as this process can open it
	asked  chan task // received by the goroutine; closed by close
	tasks  sync.WaitGroup
	trees  map[string]string // images to where they are mounted; of the goroutine alone
}

type task struct {
	do  func() error
	err chan<- error // sent to once; has room
}

// newStarter returns a starter that mounts trees below folder, and in whose
// namespace the mount hide is empty, unless that is "".
func newStarter(folder, hide string) (*starter, error) {
	s := &starter{folder: folder, asked: make(chan task), trees: map[string]string{}}
	ready := make(chan error, 1)
	s.tasks.Go(func() { aside(func() { s.serve(hide, ready) }) })
	if err := <-ready; err != nil {
		s.tasks.Wait()
		return nil, fmt.Errorf("oci: a mount namespace: %w", err)
	}
	return s, nil
}

// aside calls f on a thread that is not the process's first, whose namespaces
// stand for the process's in /proc, and that nothing else runs on.
func aside(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		f() // never unlocked: the thread ends with its goroutine
		return
	}
	defer runtime.UnlockOSThread()
	var other sync.WaitGroup
	other.Go(func() { aside(f) })
	other.Wait()
}

func (s *starter) serve(hide string, ready chan<- error) {
	s.view = fmt.Sprintf("/proc/self/task/%d/root", unix.Gettid())
	err := s.leave(hide)
	ready <- err
	if err != nil {
		return
	}
	for t := range s.asked {
		t.err <- t.do()
	}
}

// leave gives the calling thread a mount namespace.
func (s *starter) leave(hide string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.MkdirAll(s.folder, 0o711); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	// What the machine mounts later is still seen here, where it shares its
	// mounts, and nothing of here there.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return err
	}
	for _, empty := range []string{s.folder, hide} {
		if empty == "" {
			continue
		}
		if err := unix.Mount("preheat", empty, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=711"); err != nil {
			return fmt.Errorf("%s: %w", empty, err)
		}
	}
	return nil
}

// do calls f in the namespace, one at a time.
func (s *starter) do(f func() error) error {
	err := make(chan error, 1)
	s.asked <- task{f, err}
	return <-err
}

// start starts cmd. The caller waits for it.
func (s *starter) start(cmd *exec.Cmd) error { return s.do(cmd.Start) }

// tree returns where an image is mounted.
func (s *starter) tree(image string) (path string, err error) {
	if os.Geteuid() != 0 {
		return image, nil
	}
	err = s.do(func() error {
		var err error
		if path = s.trees[image]; path == "" {
			path, err = s.mount(image)
		}
		return err
	})
	return path, err
}

// mount is called by the goroutine.
func (s *starter) mount(image string) (string, error) {
	path := filepath.Join(s.folder, strconv.Itoa(len(s.trees)))
	err := os.Mkdir(s.inside(path), 0o711)
	if err == nil {
		err = unix.Mount(image, path, "", unix.MS_BIND, "")
	}
	if err == nil {
		err = unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	if err != nil {
		return "", fmt.Errorf("oci: mount the tree %s: %w", image, err)
	}
	s.trees[image] = path
	return path, nil
}

// inside is the path of a file of the namespace, for this process.
func (s *starter) inside(path string) string { return filepath.Join(s.view, path) }

// close ends the goroutine. Nothing may be started after it.
func (s *starter) close() {
	close(s.asked)
	s.tasks.Wait()
}

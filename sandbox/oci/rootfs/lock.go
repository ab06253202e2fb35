package rootfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errHeld says that another has the lock.
var errHeld = errors.New("it is held")

// lock opens the file at path and takes its lock, without waiting. Closing the
// file gives it back. A lock of a file that is no longer at path counts as held.
func lock(path string, flags, how int) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errHeld
	}
	if err == nil {
		var mine, there fs.FileInfo
		if mine, err = f.Stat(); err == nil {
			there, err = os.Stat(path)
		}
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
			err = errHeld
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Hold keeps the tree of an image, whose ID is rootfs, from being removed until
// it is closed. A tree that is gone already is fs.ErrNotExist: make the image
// again.
func Hold(rootfs string) (io.Closer, error) {
	f, err := lock(filepath.Join(filepath.Dir(rootfs), lockName), os.O_RDONLY, unix.LOCK_SH)
	if errors.Is(err, errHeld) { // by the one who removes it
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("rootfs: holding %s: %w", rootfs, err)
	}
	return f, nil
}

// Lock implements images.Store: two builders of a language would do the same
// work, and each remove what the other has just made.
func (s *Store) Lock(ctx context.Context, language string, waiting func()) (io.Closer, error) {
	if err := s.make(); err != nil {
		return nil, err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for tries := 0; ; tries++ {
		f, err := lock(filepath.Join(s.dir, language+".lock"), os.O_RDONLY|os.O_CREATE, unix.LOCK_EX)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("locking the images: %w", err)
		}
		if tries == 0 {
			waiting()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another build: %w", context.Cause(ctx))
		}
	}
}

// work is a folder in new/. Its lock, a file beside it, is there before it and
// goes after it, so that Sweep can tell whose maker is gone.
type work struct {
	dir  string
	lock *os.File
}

const lockSuffix = ".lock"

func (s *Store) newDir() string { return filepath.Join(s.dir, "new") }

// make makes sure of the store's folders.
func (s *Store) make() error {
	err := os.MkdirAll(filepath.Dir(s.dir), 0o711) // to be entered, not read
	if err == nil {
		err = makeDir(s.dir)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	for _, dir := range []string{s.newDir(), s.rootsDir()} {
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
	}
	if err != nil {
		return fmt.Errorf("making the images' folder: %w", err)
	}
	return nil
}

// begin makes a folder to work in.
func (s *Store) begin() (*work, error) {
	if err := s.make(); err != nil {
		return nil, err
	}
	for {
		dir := filepath.Join(s.newDir(), strings.ToLower(rand.Text()[:10]))
		f, err := lock(dir+lockSuffix, os.O_RDONLY|os.O_CREATE|os.O_EXCL, unix.LOCK_EX)
		if errors.Is(err, errHeld) {
			continue // by a Sweep, just now
		}
		if err == nil {
			if err = os.Mkdir(dir, 0o700); err == nil {
				return &work{dir, f}, nil
			}
			err = errors.Join(err, os.Remove(f.Name()), f.Close())
		}
		return nil, fmt.Errorf("making a folder to work in: %w", err)
	}
}

// end removes the folder and what runs in it. It works on a cancelled context
// too.
func (w *work) end(ctx context.Context) error {
	err := w.destroy(ctx)
	if err == nil {
		err = os.RemoveAll(w.dir)
	}
	if err == nil {
		err = os.Remove(w.lock.Name())
	}
	if err = errors.Join(err, w.lock.Close()); err != nil {
		return fmt.Errorf("cleaning up: %w", err)
	}
	return nil
}

// Sweep implements images.Store.
func (s *Store) Sweep(ctx context.Context) error {
	locks, err := filepath.Glob(filepath.Join(s.newDir(), "*"+lockSuffix))
	for _, path := range locks {
		f, lockErr := lock(path, os.O_RDONLY, unix.LOCK_EX)
		if errors.Is(lockErr, errHeld) || errors.Is(lockErr, fs.ErrNotExist) {
			continue
		}
		if lockErr == nil {
			lockErr = (&work{strings.TrimSuffix(path, lockSuffix), f}).end(ctx)
		}
		err = errors.Join(err, lockErr)
	}
	return err
}

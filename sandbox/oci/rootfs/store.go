// Package rootfs keeps the languages' images as trees of files below one folder,
// for sandboxes that need no Engine.
//
// Start at [New], which gives the store for a Builder of sandbox/images, and at
// [Hold], which keeps a tree while sandboxes use it. The folder has
//
//	<language>-<hash>-<stamp>/   a finished image: rootfs, and image.json, which tells of it
//	roots/                       base roots, as tars
//	new/                         what is being made; nobody but root looks in
//
// A tree is made in new/ and renamed when it is whole. It belongs to root, is
// never written again, and goes when another takes its place and nobody holds it.
// Steps run in a plain container of an OCI runtime, and need root.
//
// How it fails: what fails or is cancelled leaves nothing; what a killed process
// left, its container too, the next build removes.
package rootfs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox/images"
)

// Config is what a Store needs to know.
type Config struct {
	// Dir is where the trees are; it is made when it is needed. Where sandboxes
	// have users of their own, those must be able to enter all folders above.
	Dir string

	Runtime string // runc or crun, for steps: a name, or an absolute path
}

// Store keeps images in one folder, which several processes may share. It is
// safe for concurrent use.
type Store struct {
	dir     string
	runtime string
	bounds  bounds
}

var _ images.Store = (*Store)(nil)

// New returns the store in cfg.Dir.
func New(cfg Config) (*Store, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	return &Store{dir: dir, runtime: cfg.Runtime, bounds: bounds{images.MaxRootBytes, images.MaxRootEntries}}, nil
}

// record is image.json.
type record struct {
	Language string          `json:"language"`
	Version  string          `json:"version"`
	Hash     string          `json:"hash"`
	Base     images.BaseKind `json:"base"`
	Size     int64           `json:"size"`
	Created  time.Time       `json:"created"`
}

const (
	rootfsName = "rootfs"
	recordName = "image.json"
	lockName   = "lock" // in a tree, shared by those who hold it
)

// Image implements images.Store. The image's ID is the path of its rootfs.
func (s *Store) Image(_ context.Context, language, hash string) (images.Image, error) {
	best := images.Image{Language: language, Ref: filepath.Join(s.dir, language), Freshness: images.Missing}
	trees, err := s.trees(language)
	if err != nil {
		return images.Image{}, err
	}
	for _, tree := range trees {
		data, err := os.ReadFile(filepath.Join(tree, recordName))
		var r record
		if err != nil || json.Unmarshal(data, &r) != nil || r.Language != language {
			continue // not whole, or going
		}
		img := images.Image{
			Language: language, Ref: tree, ID: filepath.Join(tree, rootfsName),
			Version: r.Version, Hash: r.Hash, Base: r.Base, Size: r.Size, Created: r.Created,
		}
		img.Judge(hash)
		if img.Freshness == best.Freshness && img.Created.After(best.Created) || img.Freshness != best.Freshness && best.Freshness != images.Fresh {
			best = img
		}
	}
	return best, nil
}

// trees returns the paths of the language's trees.
func (s *Store) trees(language string) ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the images: %w", err)
	}
	var trees []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), language+"-") {
			trees = append(trees, filepath.Join(s.dir, e.Name()))
		}
	}
	return trees, nil
}

// Finish implements images.Store.
func (s *Store) Finish(ctx context.Context, img images.Image, write func(io.Writer) error) (err error) {
	w, err := s.begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end(ctx)) }()
	tree, root := filepath.Join(w.dir, "tree"), filepath.Join(w.dir, "tree", rootfsName)
	if err := errors.Join(makeDir(tree), makeDir(root)); err != nil {
		return fmt.Errorf("making a tree: %w", err)
	}
	size, err := s.unpackFrom(ctx, root, write)
	if err != nil {
		return err
	}
	if err := makeMountPoints(root); err != nil {
		return err
	}
	data, err := json.MarshalIndent(record{img.Language, img.Version, img.Hash, img.Base, size, time.Now()}, "", "  ")
	if err != nil {
		return fmt.Errorf("making %s: %w", recordName, err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(tree, recordName), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(tree, lockName), nil, 0o600),
		syncAll(tree))
	if err != nil {
		return fmt.Errorf("finishing a tree: %w", err)
	}
	final := filepath.Join(s.dir, fmt.Sprintf("%s-%.12s-%s", img.Language, img.Hash, filepath.Base(w.dir)))
	if err := os.Rename(tree, final); err != nil {
		return fmt.Errorf("finishing a tree: %w", err)
	}
	return s.removeTrees(ctx, img.Language, final)
}

// makeMountPoints makes sure of the folders that a sandbox mounts over: nothing
// can make them in a tree that is read-only.
func makeMountPoints(root string) error {
	for _, name := range []string{"dev", "proc", "sys", "work", "tmp"} {
		dir := filepath.Join(root, name)
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = makeDir(dir)
		case err == nil && !info.IsDir():
			err = fmt.Errorf("/%s of the image is not a folder", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a folder that all can enter, whatever the umask.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// syncAll writes dir's file system to the disk, for a rename must not outlive in
// a power cut what was renamed.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// unpackFrom unpacks the tar that write produces and returns its files' bytes.
func (s *Store) unpackFrom(ctx context.Context, dir string, write func(io.Writer) error) (size int64, err error) {
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	var writeErr error
	wg.Go(func() {
		out := bufio.NewWriterSize(pw, 1<<20)
		writeErr = errors.Join(write(out), out.Flush())
		pw.CloseWithError(writeErr)
	})
	size, err = unpack(ctx, dir, bufio.NewReaderSize(pr, 1<<20), s.bounds)
	if err == nil {
		_, err = io.Copy(io.Discard, pr) // what may follow the tar's end
	}
	pr.CloseWithError(err)
	wg.Wait()
	if err == nil || writeErr != nil && errors.Is(err, writeErr) {
		err = writeErr
	}
	return size, err
}

// removeTrees removes the language's trees but keep, and but those that are held.
func (s *Store) removeTrees(ctx context.Context, language, keep string) error {
	trees, err := s.trees(language)
	if err != nil {
		return err
	}
	for _, tree := range trees {
		if tree != keep {
			err = errors.Join(err, s.removeTree(ctx, tree))
		}
	}
	return err
}

func (s *Store) removeTree(ctx context.Context, tree string) (err error) {
	held, err := lock(filepath.Join(tree, lockName), 0, unix.LOCK_EX)
	if errors.Is(err, errHeld) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old tree: %w", err)
	}
	if held != nil {
		defer held.Close()
	}
	w, err := s.begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end(ctx)) }()
	if err := os.Rename(tree, filepath.Join(w.dir, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old tree: %w", err)
	}
	return nil
}

package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Bounds of a file of keys.
const (
	MaxKeys      = 10_000
	MaxFileBytes = 8 << 20
)

var (
	// ErrExists is returned by Add for a name that a key has.
	ErrExists = errors.New("a key of this name exists")

	// ErrNoKey is returned by Remove for a name that no key has.
	ErrNoKey = errors.New("no key has this name")
)

const version = 1

type file struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

// Add makes a key and writes it to the file at path, which it makes, with its
// folder, if there is none. The secret it returns is kept nowhere: it cannot be
// shown again. A running server that reads the file takes the key on its own.
func Add(path, name string, limits Limits) (secret string, err error) {
	secret = newSecret()
	key := Key{Name: name, Hash: hashOf(secret), Created: time.Now().UTC().Truncate(time.Second), Limits: limits}
	if err := key.validate(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	err = edit(path, func(keys []Key) ([]Key, error) {
		if slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name }) {
			return nil, fmt.Errorf("%s: %w: %q", path, ErrExists, name)
		}
		return append(keys, key), nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Remove takes the key called name out of the file at path. A running server
// that reads the file refuses the key from then on; runs that it has admitted
// go on.
func Remove(path, name string) error {
	return edit(path, func(keys []Key) ([]Key, error) {
		left := slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return k.Name == name })
		if len(left) == len(keys) {
			return nil, fmt.Errorf("%s: %w: %q", path, ErrNoKey, name)
		}
		return left, nil
	})
}

// List returns the keys in the file at path, in the order in which they were
// added; none if there is no file.
func List(path string) ([]Key, error) {
	keys, _, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return keys, err
}

// edit rewrites the file at path as change says. A lock keeps other processes
// from doing so meanwhile; readers need none, because the file is replaced whole.
func edit(path string, change func([]Key) ([]Key, error)) error {
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	keys, err := List(path)
	if err != nil {
		return err
	}
	if keys, err = change(keys); err != nil {
		return err
	}
	data, err := json.MarshalIndent(file{version, keys}, "", " ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if _, err := decode(data); err != nil { // what cannot be read again is not written
		return fmt.Errorf("%s: %w", path, err)
	}
	return replace(path, data)
}

// lock waits for the lock file at path and returns what gives it up. The file
// stays: to remove it would let two processes lock two files of one name.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}

// load reads the file at path, and tells which state of it that was.
func load(path string) ([]Key, fs.FileInfo, error) {
	data, info, err := read(path, MaxFileBytes)
	if err != nil {
		return nil, nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("%s: others than its owner may use this file; run: chmod 600 %[1]s", path)
	}
	keys, err := decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, info, nil
}

// decode reads and checks a file of keys.
func decode(data []byte) ([]Key, error) {
	var f file
	if err := unmarshal(data, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Version != version:
		return nil, fmt.Errorf("it is of version %d, and this preheat reads version %d", f.Version, version)
	case len(data) > MaxFileBytes:
		return nil, fmt.Errorf("it is larger than %d bytes", MaxFileBytes)
	case len(f.Keys) > MaxKeys:
		return nil, fmt.Errorf("it has more than %d keys", MaxKeys)
	}
	names, hashes := make(map[string]bool, len(f.Keys)), make(map[Hash]bool, len(f.Keys))
	for i, k := range f.Keys {
		if err := k.validate(); err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if names[k.Name] || hashes[k.Hash] {
			return nil, fmt.Errorf("keys[%d]: the name or the hash of the key %q is given twice", i, k.Name)
		}
		names[k.Name], hashes[k.Hash] = true, true
	}
	return f.Keys, nil
}

// unmarshal reads one JSON value that has no field that into lacks.
func unmarshal(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("it is not what preheat writes: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it goes on after its end")
	}
	return nil
}

// read returns the content of the regular file at path, of at most limit bytes.
func read(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: it is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("%s: it is larger than %d bytes", path, limit)
	}
	return data, info, nil
}

// replace puts data in the place of the file at path in one step: a reader, or
// a machine that stops, has the old file or the new one.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = keepOwner(f, path)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// keepOwner gives f to the owner of the file at path: a server that runs as
// another user must still be able to read a file that root has changed.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || os.Geteuid() != 0 {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// syncFolder makes a rename in the folder at path outlast a machine that stops.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

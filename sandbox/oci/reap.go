package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Reap destroys the sandboxes of this instance, and those of any other that
// ended long ago and that nobody removed.
func (d *Driver) Reap(ctx context.Context) (int, error) {
	instances, err := below(d.cfg.Folder)
	if err != nil {
		return 0, err
	}
	instances = slices.DeleteFunc(instances, func(key string) bool { return key == treesFolder })
	if !slices.Contains(instances, d.key) {
		instances = append(instances, d.key)
	}
	var (
		reaped int
		all    []error
	)
	for _, key := range instances {
		ids, err := d.left(key)
		all = append(all, err)
		for _, id := range ids {
			s := &Sandbox{
				driver: d, id: id,
				folder: filepath.Join(d.cfg.Folder, key, id),
				cgroup: cgroup{d.h, filepath.Join(filepath.Dir(d.parent), key, id)},
			}
			if key == d.key || s.orphaned() {
				reaped++
				all = append(all, s.Destroy(ctx))
			}
		}
	}
	return reaped, errors.Join(all...)
}

// left returns the ids of what there is of an instance's sandboxes: a folder, a
// cgroup, or both.
func (d *Driver) left(key string) ([]string, error) {
	places := []string{filepath.Join(d.cfg.Folder, key)}
	for _, mount := range d.h.mounts {
		places = append(places, filepath.Join(mount, filepath.Dir(d.parent), key))
	}
	var ids []string
	for _, place := range places {
		names, err := below(place)
		if err != nil {
			return nil, err
		}
		ids = append(ids, names...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// below returns the names of the folders in dir, which may be missing.
func below(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("oci: %w", err)
	}
	var names []string
	for _, e := range found {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// orphaned reports whether another instance's sandbox was made long ago and has
// no process.
func (s *Sandbox) orphaned() bool {
	info, err := os.Stat(s.folder)
	return err == nil && time.Since(info.ModTime()) > orphanAge && len(s.cgroup.processes()) == 0
}

package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
)

// cgroupRoot is where cgroups are mounted, everywhere.
const cgroupRoot = "/sys/fs/cgroup"

// hierarchies are the cgroup mounts of this machine.
type hierarchies struct {
	unified string            // the mount of version 2, if that bears the limits
	mounts  []string          // all that a cgroup is made in
	at      map[string]string // controller of version 1 to its mount
	hybrid  string            // the mount of version 2 beside version 1, if it has controllers
}

// needed are the controllers without which limits do not hold.
var needed = []string{"memory", "pids", "cpu"}

// parseMounts reads /proc/self/mountinfo.
func parseMounts(mountinfo string) hierarchies {
	h := hierarchies{at: map[string]string{}}
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		mount, super := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(super) < 3 {
			continue
		}
		switch where := mount[4]; super[0] {
		case "cgroup2":
			if where == cgroupRoot {
				return hierarchies{unified: where, mounts: []string{where}}
			}
			h.hybrid = where
			h.mounts = append(h.mounts, where)
		case "cgroup":
			h.mounts = append(h.mounts, where)
			for option := range strings.SplitSeq(super[2], ",") {
				h.at[option] = where
			}
		}
	}
	return h
}

// missing returns the needed controllers that this machine does not have.
func (h hierarchies) missing() []string {
	if h.unified != "" {
		return without(needed, filepath.Join(h.unified, "cgroup.controllers"))
	}
	return slices.DeleteFunc(slices.Clone(needed), func(name string) bool { return h.at[name] != "" })
}

// without returns those of names that are not among the words of a file.
func without(names []string, file string) []string {
	text, _ := os.ReadFile(file) // what cannot be read has none
	words := strings.Fields(string(text))
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(words, name) })
}

// enable makes the cgroup at path. With version 2 it gets, and so its children
// get, the controllers that are needed. All those above it must hand them down,
// the first included: systemd turns on what its units use.
func (h hierarchies) enable(path string) error {
	if h.unified == "" {
		for _, mount := range h.mounts {
			if err := os.MkdirAll(filepath.Join(mount, path), 0o755); err != nil {
				return err
			}
		}
		return nil
	}
	for end, c := range path + "/" {
		if c != '/' {
			continue
		}
		dir := filepath.Join(h.unified, path[:end])
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			err = os.Chmod(dir, 0o755) // whatever the umask is: the users of sandboxes go through it
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		file := filepath.Join(dir, "cgroup.subtree_control")
		if off := without(needed, file); len(off) > 0 {
			if err := put(file, "+"+strings.Join(off, " +")); err != nil {
				return fmt.Errorf("turn on %s: %w", strings.Join(off, ", "), err)
			}
		}
	}
	return nil
}

// cgroup is that of one sandbox.
type cgroup struct {
	h    hierarchies
	path string // below the mounts
}

// file is the path of a file of the cgroup: that of version 2, or else that of
// version 1, which is written "controller/name".
func (c cgroup) file(two, one string) string {
	if c.h.unified != "" {
		return filepath.Join(c.h.unified, c.path, two)
	}
	controller, name, _ := strings.Cut(one, "/")
	return filepath.Join(c.h.at[controller], c.path, name)
}

// put writes to a file of a cgroup, which is there or cannot be.
func put(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// number reads a figure: the one behind field in a file, or the file's only one.
// What cannot be read is zero.
func number(file, field string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		words := bytes.Fields(line)
		if len(words) == 0 || field != "" && (len(words) != 2 || string(words[0]) != field) {
			continue
		}
		n, err := strconv.ParseInt(string(words[len(words)-1]), 10, 64)
		if err != nil {
			return 0
		}
		return max(n, 0)
	}
	return 0
}

// oomKills counts the processes that the kernel's OOM killer has ended. The
// count is right before the process is gone.
func (c cgroup) oomKills() int64 {
	return number(c.file("memory.events", "memory/memory.oom_control"), "oom_kill")
}

// usage is what all its processes have cost since it was made.
func (c cgroup) usage() sandbox.Usage {
	u := sandbox.Usage{MemoryBytes: number(c.file("memory.peak", "memory/memory.max_usage_in_bytes"), "")}
	if c.h.unified != "" {
		u.CPU = time.Duration(number(c.file("cpu.stat", ""), "usage_usec")) * time.Microsecond
	} else {
		u.CPU = time.Duration(number(c.file("", "cpuacct/cpuacct.usage"), ""))
	}
	return u
}

// resize changes the memory limit; swap has none.
func (c cgroup) resize(memory int64) error {
	text := strconv.FormatInt(memory, 10)
	if c.h.unified != "" {
		return put(c.file("memory.max", ""), text)
	}
	limit, both := c.file("", "memory/memory.limit_in_bytes"), c.file("", "memory/memory.memsw.limit_in_bytes")
	files := []string{limit, both} // memory alone may never be more than with swap
	if memory > number(limit, "") {
		files = []string{both, limit}
	}
	for _, file := range files {
		err := put(file, text)
		if file == both && errors.Is(err, fs.ErrNotExist) {
			continue // there is no swap accounting
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// processes returns the ids of its processes.
func (c cgroup) processes() []int {
	text, err := os.ReadFile(c.file("cgroup.procs", "pids/cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill ends all its processes, and returns when the last one is gone.
func (c cgroup) kill(ctx context.Context) error {
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids := c.processes()
		if len(pids) == 0 {
			return nil
		}
		if c.h.unified == "" || put(c.file("cgroup.kill", ""), "1") != nil { // before Linux 5.14
			for _, pid := range pids {
				c.killOne(pid)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("oci: %d processes of %s do not end: %w", len(pids), c.path, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// killOne ends a process, unless its number is that of another by now.
func (c cgroup) killOne(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid)); err == nil && strings.Contains(string(text), c.path+"\n") {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// remove removes the cgroup, which has no processes, and what programs or
// runtimes made below it.
func (c cgroup) remove(ctx context.Context) error {
	for _, mount := range c.h.mounts {
		if err := removeTree(ctx, filepath.Join(mount, c.path)); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a cgroup with those below it. The kernel may still be busy
// with a process that has ended.
func removeTree(ctx context.Context, dir string) error {
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		below, readErr := os.ReadDir(dir)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			return readErr
		}
		for _, e := range below {
			if e.IsDir() {
				if err := removeTree(ctx, filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("oci: remove the cgroup %s: %w", dir, err)
		case <-time.After(pause):
		}
	}
}

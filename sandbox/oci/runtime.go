package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
)

// preferred are the runtimes that are taken unasked, the fastest first. gVisor
// is only taken by name.
var preferred = []string{"crun", "runc"}

// ErrRuntime marks errors that mean that no runtime can be used.
var ErrRuntime = errors.New("oci: no runtime")

// Find returns the path of a runtime: that of the name, or the one that is taken
// by default if it is empty.
func Find(name string) (string, error) {
	names := preferred
	if name != "" {
		names = []string{name}
	}
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return filepath.Abs(path)
		}
	}
	if profile.IsGVisor(name) {
		return "", fmt.Errorf("%w: %s is not on PATH; `make runsc` builds gVisor's, see docs/gvisor.md", ErrRuntime, name)
	}
	return "", fmt.Errorf("%w: %s is not on PATH; on Debian, `apt-get install %s` installs it", ErrRuntime, strings.Join(names, " or "), names[0])
}

// arguments are what a runtime is told for every command.
func arguments(path, state string) []string {
	args := []string{"--root", state}
	switch name := filepath.Base(path); {
	case profile.IsGVisor(name):
		// A sandbox has no network, and without --oci-seccomp gVisor passes over
		// the spec's filter.
		return append(args, "--network=none", "--oci-seccomp", "--systemd-cgroup=false")
	case strings.HasPrefix(name, "crun"):
		return append(args, "--cgroup-manager=cgroupfs")
	}
	return args
}

// versionOf returns what a runtime calls itself, such as "crun 1.8.1".
func versionOf(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s --version: %w", ErrRuntime, path, err)
	}
	return parseVersion(filepath.Base(path), out)
}

func parseVersion(name string, out []byte) (string, error) {
	line, _, _ := bytes.Cut(out, []byte("\n"))
	words := strings.Fields(string(line)) // "runc version 1.3.3"
	if len(words) != 3 || words[1] != "version" || len(words[2]) > 64 {
		return "", fmt.Errorf("%w: %s calls itself %.100q", ErrRuntime, name, line)
	}
	return name + " " + words[2], nil
}

// Runtime looks up the runtime of that name, or the one that is taken by
// default if it is empty. One that is not there is an error that says how to
// add it.
func (d *Driver) Runtime(ctx context.Context, name string) (sandbox.Runtime, error) {
	path, err := Find(name)
	if err != nil {
		return sandbox.Runtime{}, err
	}
	if _, err := versionOf(ctx, path); err != nil {
		return sandbox.Runtime{}, err
	}
	return sandbox.Runtime{Name: filepath.Base(path)}, nil
}

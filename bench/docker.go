package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// docker is the docker command.
type docker struct{ path string }

func newDocker() (docker, error) {
	path, err := exec.LookPath("docker")
	if err != nil {
		return docker{}, errors.New("the docker command is not on PATH; on Debian, `apt-get install docker-cli` or `docker.io` makes /usr/bin/docker")
	}
	return docker{path}, nil
}

// do runs the command and returns what it printed.
func (d docker) do(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, d.path, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

func (d docker) doJSON(ctx context.Context, answer any, args ...string) error {
	out, err := d.do(ctx, args...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(out), answer)
}

// machine is what `docker info` says of the Engine and the machine under it.
type machine struct {
	CPUs           int    `json:"NCPU"`
	MemoryBytes    int64  `json:"MemTotal"`
	Kernel         string `json:"KernelVersion"`
	Engine         string `json:"ServerVersion"`
	StorageDriver  string `json:"Driver"`
	CgroupVersion  string
	Runtime        string // of the sandboxes
	RuntimeVersion string // where the Engine tells it
}

// machine asks the Engine. The runtime's version stays empty where it is not told.
func (d docker) machine(ctx context.Context, runtime string) (machine, error) {
	m := machine{Runtime: runtime}
	if err := d.doJSON(ctx, &m, "info", "--format", "{{json .}}"); err != nil {
		return m, err
	}
	var server struct {
		Components []struct{ Name, Version string }
	}
	if err := d.doJSON(ctx, &server, "version", "--format", "{{json .Server}}"); err != nil {
		return m, err
	}
	for _, c := range server.Components {
		if c.Name == runtime {
			m.RuntimeVersion = c.Version
		}
	}
	return m, nil
}

func (d docker) inspect(ctx context.Context, id string) (inspected, error) {
	var c []inspected
	if err := d.doJSON(ctx, &c, "inspect", id); err != nil {
		return inspected{}, err
	}
	return c[0], nil
}

// labelled returns the ids of the containers with all the labels, whatever
// their state.
func (d docker) labelled(ctx context.Context, labels ...string) ([]string, error) {
	args := []string{"ps", "-aq"}
	for _, l := range labels {
		args = append(args, "--filter", "label="+l)
	}
	out, err := d.do(ctx, args...)
	return strings.Fields(out), err
}

// checkGone fails when a container of instance is left.
func (d docker) checkGone(ctx context.Context, instance string) error {
	left, err := d.labelled(ctx, "preheat.instance="+instance)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the server left containers behind: %s", left)
	}
	return err
}

// containerBytes returns what a container's cgroup counts as used, less the
// file cache that can be dropped.
func (d docker) containerBytes(ctx context.Context, id string) (int64, error) {
	out, err := d.do(ctx, "stats", "--no-stream", "--format", "{{.MemUsage}}", id)
	if err != nil {
		return 0, err
	}
	used, _, _ := strings.Cut(out, " /")
	return units.RAMInBytes(used)
}

// residentBytes returns the VmRSS of a process of this machine; zero is
// unknown, as where the Engine is elsewhere.
func residentBytes(pid int) int64 { return 1024 * statusField(pid, "VmRSS") }

func parent(pid int) int { return int(statusField(pid, "PPid")) }

// statusField returns a number of /proc/PID/status, or zero.
func statusField(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name+":" {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			return n
		}
	}
	return 0
}

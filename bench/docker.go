package main

import (
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

// docker runs the docker command and returns what it printed.
func docker(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		err = errors.New("the docker command is not on PATH; on Debian, `apt-get install docker-cli` or `docker.io` makes /usr/bin/docker")
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), nil
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

// theMachine asks the Engine.
func theMachine(ctx context.Context, runtime string) (machine, error) {
	m := machine{Runtime: runtime}
	info, err := docker(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal([]byte(info), &m); err != nil {
		return m, err
	}
	m.RuntimeVersion, err = docker(ctx, "version", "--format",
		fmt.Sprintf("{{range .Server.Components}}{{if eq .Name %q}}{{.Version}}{{end}}{{end}}", runtime))
	m.RuntimeVersion = strings.TrimSpace(m.RuntimeVersion)
	return m, err
}

// labelled returns the ids of the containers with all the labels, whatever
// their state.
func labelled(ctx context.Context, labels ...string) ([]string, error) {
	args := []string{"ps", "-aq"}
	for _, l := range labels {
		args = append(args, "--filter", "label="+l)
	}
	out, err := docker(ctx, args...)
	return strings.Fields(out), err
}

// checkGone fails when a container of instance is left.
func checkGone(ctx context.Context, instance string) error {
	left, err := labelled(ctx, "preheat.instance="+instance)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the server left containers behind: %s", left)
	}
	return err
}

// idleSandbox inspects one of the server's sandboxes and weighs it.
func idleSandbox(ctx context.Context, instance string, l *languageFigures) (inspected, error) {
	ids, err := labelled(ctx, "preheat.instance="+instance, "preheat.language="+l.Language)
	if err != nil || len(ids) == 0 {
		return inspected{}, errors.Join(err, errors.New("no idle sandbox to learn the flags from"))
	}
	model, err := inspect(ctx, ids[0])
	if err != nil {
		return model, err
	}
	l.Runtime, _ = model.HostConfig["Runtime"].(string)
	l.AgentBytes, l.ShimBytes = residentBytes(model.State.Pid), residentBytes(int(statusField(model.State.Pid, "PPid")))
	// What its cgroup counts, less the file cache that can be dropped.
	out, err := docker(ctx, "stats", "--no-stream", "--format", "{{.MemUsage}}", ids[0])
	if err != nil {
		return model, err
	}
	used, _, _ := strings.Cut(out, " /")
	l.SandboxBytes, err = units.RAMInBytes(used)
	return model, err
}

// residentBytes returns the VmRSS of a process of this machine; zero is
// unknown, as where the Engine is elsewhere.
func residentBytes(pid int) int64 { return 1024 * statusField(pid, "VmRSS") }

// statusField returns a number of /proc/PID/status, or zero.
func statusField(pid int, name string) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // none is no field
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name+":" {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			return n
		}
	}
	return 0
}

package docker

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
)

// stopSeconds is longer than the 10 s after which the Engine kills the first
// process itself. A wedged gVisor answers that there is no such process, and
// after this time the Engine takes its word and forgets the container, with
// the processes that are left.
const stopSeconds = 60

// render is the whole lock-down of a sandbox, as the Engine is told it.
func render(lang sandbox.Language, instance string, uid int) (*container.Config, *container.HostConfig) {
	p := profile.New(lang, uid)
	user := strconv.Itoa(p.User)
	no, stopTimeout := false, stopSeconds
	config := &container.Config{
		Image:      lang.Image,
		User:       user + ":" + user,
		Hostname:   profile.Hostname,
		WorkingDir: profile.WorkFolder,
		Entrypoint: p.Command[:1],
		Cmd:        p.Command[1:],
		Env:        p.Env,
		Labels:     map[string]string{LabelInstance: instance, LabelLanguage: lang.Name},

		AttachStdin:     true,
		AttachStdout:    true,
		AttachStderr:    true,
		OpenStdin:       true,
		StdinOnce:       true, // the agent sees when the host goes away, and ends
		NetworkDisabled: true,
		StopSignal:      "SIGKILL",
		StopTimeout:     &stopTimeout,
		Healthcheck:     &container.HealthConfig{Test: []string{"NONE"}},
	}
	host := &container.HostConfig{
		NetworkMode:    "none",
		IpcMode:        container.IPCModePrivate,
		CgroupnsMode:   container.CgroupnsModePrivate,
		ReadonlyRootfs: true,
		Tmpfs:          map[string]string{},
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges", filter},
		MaskedPaths:    profile.Masked,
		ReadonlyPaths:  profile.ReadOnly,
		LogConfig:      container.LogConfig{Type: "none"},
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyDisabled},
		OomScoreAdj:    p.OOMScore,
		Runtime:        lang.Runtime,
		Init:           &no,
		Resources: container.Resources{
			Memory:     p.MemoryBytes,
			MemorySwap: p.MemoryBytes, // memory and swap together: no swap
			NanoCPUs:   p.NanoCPUs,
			PidsLimit:  &p.Pids,
		},
	}
	for _, t := range p.Writable {
		host.Tmpfs[t.Path] = strings.Join(t.Options(), ",")
	}
	for _, l := range p.Rlimits {
		host.Ulimits = append(host.Ulimits, &container.Ulimit{Name: l.Name, Soft: int64(l.Value), Hard: int64(l.Value)})
	}
	return config, host
}

// containerName returns a new name. Removing by name works even when the answer
// to a create was lost.
func containerName(language string) string {
	var b [8]byte
	rand.Read(b[:])
	return "preheat-" + language + "-" + hex.EncodeToString(b[:])
}

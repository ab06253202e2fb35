package docker

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

const (
	workFolder = "/work"
	agentPath  = "/app/preheat-agent"
	hostname   = "sandbox"

	// shmFiles bounds the files in /dev/shm, which the size alone does not: an
	// empty file takes the kernel's memory too.
	shmFiles = 1024

	// stopSeconds is longer than the 10 s after which the Engine kills the first
	// process itself. A wedged gVisor answers that there is no such process, and
	// after this time the Engine takes its word and forgets the container, with
	// the processes that are left.
	stopSeconds = 60
)

// maskedPaths read as empty. A list given to the Engine replaces its own, so
// this is the whole of it: Docker's default of 2025 and what later ones added,
// and two of /dev. Message queues need no system call of their own to be made,
// and pseudo-terminals are counted for the whole machine.
var maskedPaths = []string{
	"/dev/mqueue",
	"/dev/pts",
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
}

// readonlyPaths cannot be written even where the file's mode allows it.
var readonlyPaths = []string{
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}

// profile is the whole lock-down of a sandbox, as the Engine is told it.
func profile(lang sandbox.Language, instance string, uid int) (*container.Config, *container.HostConfig) {
	l := lang.Limits
	user := strconv.Itoa(uid)
	command := lang.Command
	if lang.OnDemand {
		command = append([]string{agent.OnDemand}, command...)
	}
	no, stopTimeout := false, stopSeconds
	config := &container.Config{
		Image:      lang.Image,
		User:       user + ":" + user,
		Hostname:   hostname,
		WorkingDir: workFolder,
		Entrypoint: []string{agentPath},
		Cmd:        command,
		Env: append([]string{
			"HOME=" + workFolder,
			"TMPDIR=" + workFolder,
			"USER=" + hostname,
			"LOGNAME=" + hostname,
			"LANG=C.UTF-8",
		}, lang.Env...),
		Labels: map[string]string{LabelInstance: instance, LabelLanguage: lang.Name},

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
		Tmpfs: map[string]string{
			workFolder: fmt.Sprintf(
				"rw,exec,nosuid,nodev,size=%d,nr_inodes=%d,mode=0700,uid=%d,gid=%d", l.WorkBytes, l.WorkFiles, uid, uid),
			// POSIX semaphores, which multiprocessing needs, live there.
			"/dev/shm": fmt.Sprintf(
				"rw,noexec,nosuid,nodev,size=%d,nr_inodes=%d,mode=1777", l.ShmBytes, shmFiles),
		},
		CapDrop:       []string{"ALL"},
		SecurityOpt:   []string{"no-new-privileges", filter},
		MaskedPaths:   maskedPaths,
		ReadonlyPaths: readonlyPaths,
		LogConfig:     container.LogConfig{Type: "none"},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		OomScoreAdj:   oomScore(lang.Runtime),
		Runtime:       lang.Runtime,
		Init:          &no,
		Resources: container.Resources{
			Memory:     l.MemoryBytes,
			MemorySwap: l.MemoryBytes, // memory and swap together: no swap
			NanoCPUs:   int64(l.CPUs * 1e9),
			PidsLimit:  &l.Pids,
			Ulimits: []*container.Ulimit{
				{Name: "core", Soft: 0, Hard: 0},
				{Name: "fsize", Soft: l.WorkBytes, Hard: l.WorkBytes},
				{Name: "nofile", Soft: l.OpenFiles, Hard: l.OpenFiles},
			},
		},
	}
	return config, host
}

// oomScore makes sandboxes go first when the machine itself is short of memory.
// Of a gVisor, its kernel must be what the OOM killer takes: without one of the
// helpers beside it, whose score cannot be set, it hangs.
func oomScore(runtime string) int {
	if strings.HasPrefix(runtime, "runsc") {
		return 1000
	}
	return 500 // below what the agent gives the interpreter
}

// containerName returns a new name. Removing by name works even when the answer
// to a create was lost.
func containerName(language string) string {
	var b [8]byte
	rand.Read(b[:])
	return "preheat-" + language + "-" + hex.EncodeToString(b[:])
}

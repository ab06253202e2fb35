// Package profile decides how a sandbox is locked down, for every driver.
//
// [New] is a pure function from a language and its limits to a [Profile]; a
// driver renders that in its engine's words and adds nothing of its own that a
// program could feel. The system calls are in package seccomp below.
package profile

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

const (
	// WorkFolder is where a program's files are, and it starts.
	WorkFolder = "/work"

	// ShmFolder is where POSIX semaphores live, which multiprocessing needs.
	ShmFolder = "/dev/shm"

	// AgentPath is where an image has the agent.
	AgentPath = "/app/preheat-agent"

	// Hostname is the host name in a sandbox.
	Hostname = "sandbox"

	// shmFiles bounds the files in ShmFolder, which the size alone does not: an
	// empty file takes the kernel's memory too.
	shmFiles = 1024
)

// Masked are the paths that read as empty. A list given to an engine replaces
// its own, so this is the whole of it: Docker's default of 2025 and what later
// ones added, and two of /dev. Message queues need no system call of their own
// to be made, and pseudo-terminals are counted for the whole machine.
var Masked = []string{
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

// ReadOnly are the paths that cannot be written even where the file's mode
// allows it.
var ReadOnly = []string{
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}

// Profile is the lock-down of one sandbox. What it does not name is the same for
// all: no network, no capability, no new privileges, a read-only root, namespaces
// of its own for all there is, and the system calls of package seccomp.
type Profile struct {
	Command  []string // the agent and its words
	Env      []string // NAME=value
	User     int      // uid and gid
	Writable []Tmpfs  // all that can be written
	Rlimits  []Rlimit
	OOMScore int // oom_score_adj of the first process

	MemoryBytes int64 // memory and swap together
	Pids        int64
	NanoCPUs    int64 // 1e9 is one processor
}

// Tmpfs is a folder in memory.
type Tmpfs struct {
	Path         string
	Exec         bool // programs may be started from it
	Bytes, Files int64
	Mode         string // octal
	User         int    // its owner, uid and gid; zero is root
}

// Options are the mount's, in the words of mount(8).
func (t Tmpfs) Options() []string {
	exec := "noexec"
	if t.Exec {
		exec = "exec"
	}
	options := []string{"rw", exec, "nosuid", "nodev",
		fmt.Sprintf("size=%d", t.Bytes), fmt.Sprintf("nr_inodes=%d", t.Files), "mode=" + t.Mode}
	if t.User != 0 {
		options = append(options, fmt.Sprintf("uid=%d", t.User), fmt.Sprintf("gid=%d", t.User))
	}
	return options
}

// Rlimit is a limit of each process, soft and hard.
type Rlimit struct {
	Name  string // in lower case, such as "nofile"
	Value uint64
}

// New returns the profile of a sandbox of lang whose program is user.
func New(lang sandbox.Language, user int) Profile {
	l := lang.Limits
	command := []string{AgentPath}
	if lang.OnDemand {
		command = append(command, agent.OnDemand)
	}
	return Profile{
		Command: append(command, lang.Command...),
		Env: append([]string{
			"HOME=" + WorkFolder,
			"TMPDIR=" + WorkFolder,
			"USER=" + Hostname,
			"LOGNAME=" + Hostname,
			"LANG=C.UTF-8",
		}, lang.Env...),
		User: user,
		Writable: []Tmpfs{
			{Path: WorkFolder, Exec: true, Bytes: l.WorkBytes, Files: l.WorkFiles, Mode: "0700", User: user},
			{Path: ShmFolder, Bytes: l.ShmBytes, Files: shmFiles, Mode: "1777"},
		},
		Rlimits: []Rlimit{
			{"core", 0},
			{"fsize", uint64(l.WorkBytes)},
			{"nofile", uint64(l.OpenFiles)},
		},
		OOMScore:    oomScore(lang.Runtime),
		MemoryBytes: l.MemoryBytes,
		Pids:        l.Pids,
		NanoCPUs:    int64(l.CPUs * 1e9),
	}
}

// IsGVisor tells by its name whether a runtime is gVisor's.
func IsGVisor(runtime string) bool { return strings.HasPrefix(runtime, "runsc") }

// oomScore makes sandboxes go first when the machine itself is short of memory.
// Of a gVisor, its kernel must be what the OOM killer takes: without one of the
// helpers beside it, whose score cannot be set, it hangs.
func oomScore(runtime string) int {
	if IsGVisor(runtime) {
		return 1000
	}
	return 500 // below what the agent gives the interpreter
}

// The users of sandboxes: distinct among those alive, so that what the kernel
// counts by user (pipe buffers, inotify watches, keys) is not shared, and small
// enough for a daemon that remaps a range of 65,536.
const (
	FirstUser = 10_000
	UserCount = 50_000
)

// Users gives out users in turn. It is safe for concurrent use.
type Users struct {
	Given atomic.Uint32 // how many have been given out
}

// Next returns the next user.
func (u *Users) Next() int { return FirstUser + int(u.Given.Add(1)%UserCount) }

// Last returns the user that Next returned last.
func (u *Users) Last() int { return FirstUser + int(u.Given.Load()%UserCount) }

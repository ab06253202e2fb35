// Package doctor looks at a machine the way an operator would before trusting
// OCI runtimes, without an Engine, with hostile programs on it.
//
// [Gather] looks for [Facts]; [Judge] says what they mean, one [doctor.Check]
// for each. Only Gather has effects, and it changes nothing; what it cannot find
// out counts as missing.
package doctor

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox/doctor"
)

// known are the runtimes that are looked for.
var known = []string{"crun", "runc", "runsc"}

// Runtime is one on PATH.
type Runtime struct {
	Name string
	doctor.Part
	Krun bool // it was built with libkrun
}

// Facts are what is found on a machine.
type Facts struct {
	Runtimes []Runtime
	Root     bool // this process is root

	Cgroup      string   // version, "1" or "2"
	Hybrid      []string // controllers of version 2 beside version 1
	Limits      doctor.Limits
	Namespaces  int  // user namespaces that a user may have
	UsersMayToo bool // not only root may make them
	Seccomp     bool // with filters
}

// Gather looks at this machine.
func Gather(ctx context.Context) Facts {
	f := read(os.DirFS("/"), os.Geteuid() == 0)
	for _, name := range known {
		if at, err := exec.LookPath(name); err == nil {
			f.Runtimes = append(f.Runtimes, examine(ctx, name, at))
		}
	}
	return f
}

// examine asks a runtime for its version, and Debian for its package's.
func examine(ctx context.Context, name, at string) Runtime {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	said, _ := exec.CommandContext(ctx, at, "--version").Output() // what says nothing has no version
	r := parseRuntime(name, string(said))
	if strings.HasPrefix(at, "/usr/bin/") || strings.HasPrefix(at, "/usr/sbin/") {
		if version, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", name).Output(); err == nil {
			r.Commit = string(version)
		}
	}
	return r
}

// parseRuntime reads what a runtime says of its version, such as
//
//	crun version 1.20
//	commit: 9c9a76ac11994701dd666c4f0b869ceffb599a66
//	+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +LIBKRUN +YAJL
func parseRuntime(name, said string) Runtime {
	r := Runtime{Name: name, Krun: strings.Contains(said, "+LIBKRUN")}
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if version, ok := strings.CutPrefix(line, name+" version "); ok {
			r.Version = strings.TrimPrefix(version, "release-")
		}
		if commit, ok := strings.CutPrefix(line, "commit: "); ok {
			r.Commit = commit
		}
	}
	return r
}

const cgroupRoot = "sys/fs/cgroup"

// read finds out what /proc and /sys tell. files is the machine's root folder.
func read(files fs.FS, root bool) Facts {
	text := func(name string) string {
		b, _ := fs.ReadFile(files, name) // what is absent is empty
		return string(b)
	}
	has := func(pattern string) bool {
		found, _ := fs.Glob(files, pattern) // fails only for a pattern that is wrong
		return len(found) > 0
	}
	f := Facts{Root: root, Seccomp: strings.Contains(text("proc/sys/kernel/seccomp/actions_avail"), "errno")}
	f.Namespaces, _ = strconv.Atoi(strings.TrimSpace(text("proc/sys/user/max_user_namespaces")))
	f.UsersMayToo = f.Namespaces > 0 &&
		strings.TrimSpace(text("proc/sys/kernel/unprivileged_userns_clone")) != "0" &&
		strings.TrimSpace(text("proc/sys/kernel/apparmor_restrict_unprivileged_userns")) != "1"
	var controllers []string
	switch {
	case has(cgroupRoot + "/cgroup.controllers"):
		f.Cgroup = "2"
		cgroup := cgroupRoot
		if !root { // another user has what is delegated to its own
			cgroup = path.Join(cgroupRoot, ownCgroup(text("proc/self/cgroup")))
		}
		controllers = strings.Fields(text(cgroup + "/cgroup.controllers"))
	case has(cgroupRoot + "/*/cgroup.procs"):
		f.Cgroup = "1"
		f.Hybrid = strings.Fields(text(cgroupRoot + "/unified/cgroup.controllers"))
		for _, name := range []string{"memory", "pids", "cpu"} {
			if has(cgroupRoot + "/" + name + "/cgroup.procs") {
				controllers = append(controllers, name)
			}
		}
	}
	f.Limits = doctor.Limits{
		Memory: slices.Contains(controllers, "memory"),
		Pids:   slices.Contains(controllers, "pids"),
		CPU:    slices.Contains(controllers, "cpu"),
	}
	noSwap := strings.Count(text("proc/swaps"), "\n") == 1 // the heading
	f.Limits.Swap = f.Limits.Memory && (noSwap || has(cgroupRoot+"/memory/memory.memsw.limit_in_bytes") || has(cgroupRoot+"/*/memory.swap.max"))
	return f
}

// ownCgroup reads /proc/self/cgroup of version 2.
func ownCgroup(text string) string {
	for line := range strings.Lines(text) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return own
		}
	}
	return "/"
}

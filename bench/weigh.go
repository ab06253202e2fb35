package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// weight is what an idle sandbox takes, in bytes.
type weight struct {
	Cgroup int64 `json:"cgroup"` // what it counts, less the file cache that can be dropped
	Agent  int64 `json:"agent"`  // resident, a part of that
	Beside int64 `json:"beside"` // the processes outside that serve it, a shared page in parts
}

// weigh finds the sandboxes of this machine with these ids, and returns what one
// of them takes on average. A process is of a sandbox if its cgroup has the id,
// and beside it if only its command has.
func weigh(ids []string) (w weight, err error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(ids) == 0 {
		return w, errors.Join(err, errors.New("no idle sandbox to weigh"))
	}
	cgroups := map[string]bool{}
	for _, p := range processes {
		// What has ended meanwhile has no text.
		groups, _ := os.ReadFile(p + "/cgroup")
		command, _ := os.ReadFile(p + "/cmdline")
		comm, _ := os.ReadFile(p + "/comm")
		has := func(text []byte) bool {
			return slices.ContainsFunc(ids, func(id string) bool { return bytes.Contains(text, []byte(id)) })
		}
		switch {
		case has(groups):
			cgroups[memoryCgroup(string(groups))] = true
			if string(comm) == "preheat-agent\n" {
				w.Agent += kibi(p+"/status", "VmRSS:")
			}
		case has(command):
			w.Beside += kibi(p+"/smaps_rollup", "Pss:")
		}
	}
	for dir := range cgroups {
		w.Cgroup += max(0, field(dir+"/memory.usage_in_bytes", "")-field(dir+"/memory.stat", "total_inactive_file"))
		w.Cgroup += max(0, field(dir+"/memory.current", "")-field(dir+"/memory.stat", "inactive_file"))
	}
	n := int64(len(ids))
	if w.Cgroup+w.Beside == 0 {
		err = fmt.Errorf("the sandboxes %s are not on this machine", ids)
	}
	return weight{w.Cgroup / n, w.Agent / n, w.Beside / n}, err
}

// memoryCgroup is the folder of the cgroup that counts a process's memory, of
// version 1 or 2, by its /proc/PID/cgroup.
func memoryCgroup(text string) string {
	var two string
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(words) < 3:
		case slices.Contains(strings.Split(words[1], ","), "memory"):
			return "/sys/fs/cgroup/memory" + words[2]
		case words[1] == "":
			two = "/sys/fs/cgroup" + words[2]
		}
	}
	return two
}

// residentBytes returns the VmRSS of a process of this machine.
func residentBytes(pid int) int64 { return kibi(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:") }

// availableBytes is the machine's memory that programs could still have.
func availableBytes() int64 { return kibi("/proc/meminfo", "MemAvailable:") }

// kibi is field in bytes.
func kibi(file, name string) int64 { return 1024 * field(file, name) }

// field returns the number behind name in a file of lines, or the first of a
// file without names. Where there is none it is zero, which is unknown.
func field(file, name string) int64 {
	text, _ := os.ReadFile(file) // none is no field
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if name != "" && len(words) > 0 && words[0] == name {
			words = words[1:]
		} else if name != "" {
			continue
		}
		if len(words) > 0 {
			n, _ := strconv.ParseInt(words[0], 10, 64)
			return n
		}
	}
	return 0
}

//go:build linux

package guest

import (
	"bytes"
	"os"
	"strconv"

	"github.com/preheat/preheat/sandbox/agent"
)

// usage reads the sandbox's cgroup, of version 1 or 2. Where a file cannot be
// read its figure is unknown.
type usage struct {
	events, cpu, memory *os.File // open from the start; nil is unknown
	cpuScale            int64    // divides what cpu says into microseconds
	cpuField            string   // the line of cpu that counts; empty takes the whole file
	cpuStart            int64    // at mark
}

const cgroupRoot = "/sys/fs/cgroup/"

func openUsage() *usage {
	if _, err := os.Stat(cgroupRoot + "cgroup.controllers"); err == nil {
		return &usage{
			events:   open("memory.events"),
			cpu:      open("cpu.stat"),
			memory:   open("memory.peak"),
			cpuScale: 1,
			cpuField: "usage_usec",
		}
	}
	return &usage{
		events:   open("memory/memory.oom_control"),
		cpu:      open("cpuacct/cpuacct.usage"),
		memory:   open("memory/memory.max_usage_in_bytes"),
		cpuScale: 1000,
	}
}

func open(name string) *os.File {
	f, err := os.Open(cgroupRoot + name)
	if err != nil {
		return nil
	}
	return f
}

// mark makes read count processor time from now on.
func (u *usage) mark() { u.cpuStart = u.cpuMicros() }

// read fills in what the cgroup knows.
func (u *usage) read(r *agent.Report) {
	r.OOMKills = value(u.events, "oom_kill")
	r.MemoryBytes = value(u.memory, "")
	r.CPUMicros = max(u.cpuMicros()-u.cpuStart, 0)
}

func (u *usage) cpuMicros() int64 { return value(u.cpu, u.cpuField) / u.cpuScale }

// value returns the number behind field in f, or the only one when field is
// empty, or zero.
func value(f *os.File, field string) int64 {
	if f == nil {
		return 0
	}
	var buf [2048]byte
	n, _ := f.ReadAt(buf[:], 0)
	return parseValue(buf[:n], field)
}

func parseValue(text []byte, field string) int64 {
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

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// inspected is what `docker inspect` says of a container, as far as it matters.
type inspected struct {
	ID     string `json:"Id"`
	Image  string
	State  struct{ Pid int }
	Config struct {
		User, Hostname, WorkingDir string
		Env                        []string
	}
	HostConfig hostConfig
}

type hostConfig struct {
	NetworkMode, IpcMode, CgroupnsMode, Runtime      string
	ReadonlyRootfs                                   bool
	Tmpfs                                            map[string]string
	CapDrop, SecurityOpt                             []string
	LogConfig                                        struct{ Type string }
	OomScoreAdj                                      int
	ShmSize, Memory, MemorySwap, NanoCpus, PidsLimit int64
	Ulimits                                          []struct {
		Name       string
		Soft, Hard int64
	}

	all map[string]any
}

// UnmarshalJSON also keeps the fields that have no name here, for differences.
func (h *hostConfig) UnmarshalJSON(b []byte) error {
	type plain hostConfig
	if err := json.Unmarshal(b, (*plain)(h)); err != nil {
		return err
	}
	return json.Unmarshal(b, &h.all)
}

// seccompPrefix starts the security option that holds a whole profile. The CLI
// takes a file in its place.
const seccompPrefix = "seccomp="

// flags returns the `docker run` flags that make a container like c, except
// for the variables in hooks, which would start the warm-up. seccompFile holds
// c's profile, if it has one.
func (c inspected) flags(hooks []string, seccompFile string) []string {
	h := c.HostConfig
	f := []string{
		"--user", c.Config.User,
		"--hostname", c.Config.Hostname,
		"--workdir", c.Config.WorkingDir,
		"--network", h.NetworkMode,
		"--ipc", h.IpcMode,
		"--cgroupns", h.CgroupnsMode,
		"--runtime", h.Runtime,
		"--log-driver", h.LogConfig.Type,
		"--oom-score-adj", strconv.Itoa(h.OomScoreAdj),
		"--shm-size", fmt.Sprint(h.ShmSize),
		"--memory", fmt.Sprint(h.Memory),
		"--memory-swap", fmt.Sprint(h.MemorySwap),
		"--cpus", strconv.FormatFloat(float64(h.NanoCpus)/1e9, 'f', -1, 64),
		"--pids-limit", fmt.Sprint(h.PidsLimit),
		"--read-only=" + strconv.FormatBool(h.ReadonlyRootfs),
		"--init=false",
		"--no-healthcheck",
	}
	for _, path := range slices.Sorted(maps.Keys(h.Tmpfs)) {
		f = append(f, "--tmpfs", path+":"+h.Tmpfs[path])
	}
	for _, name := range h.CapDrop {
		f = append(f, "--cap-drop", name)
	}
	for _, opt := range h.SecurityOpt {
		if profile, ok := strings.CutPrefix(opt, seccompPrefix); ok && strings.HasPrefix(profile, "{") {
			opt = seccompPrefix + seccompFile
		}
		f = append(f, "--security-opt", opt)
	}
	for _, u := range h.Ulimits {
		f = append(f, "--ulimit", fmt.Sprintf("%s=%d:%d", u.Name, u.Soft, u.Hard))
	}
	for _, env := range c.Config.Env {
		if !slices.Contains(hooks, env) {
			f = append(f, "--env", env)
		}
	}
	return f
}

// seccomp returns the profile in c's security options, or "".
func (c inspected) seccomp() string {
	for _, opt := range c.HostConfig.SecurityOpt {
		if profile, ok := strings.CutPrefix(opt, seccompPrefix); ok && strings.HasPrefix(profile, "{") {
			return profile
		}
	}
	return ""
}

// differences names the fields of two host configurations that differ. A
// missing field, an empty one and zero are the same.
func differences(a, b map[string]any) []string {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	var names []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if empty(a[k]) && empty(b[k]) || reflect.DeepEqual(a[k], b[k]) {
			continue
		}
		names = append(names, k)
	}
	return names
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !empty(e) })
	case map[string]any:
		return len(v) == 0
	}
	return reflect.ValueOf(v).IsZero()
}

package docker

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/system"

	"github.com/preheat/preheat/sandbox"
)

// Runtime looks up the runtime of that name, or the Engine's default if it is
// empty. One that the Engine does not have is an error that says how to add it.
func (d *Driver) Runtime(ctx context.Context, name string) (sandbox.Runtime, error) {
	info, err := d.api.Info(ctx)
	if err != nil {
		return sandbox.Runtime{}, wrap("ask the engine", err)
	}
	if name == "" {
		name = info.DefaultRuntime
	}
	return findRuntime(name, info.Runtimes)
}

func findRuntime(name string, known map[string]system.RuntimeWithStatus) (sandbox.Runtime, error) {
	found, ok := known[name]
	if !ok {
		return sandbox.Runtime{}, missingRuntime(name, slices.Sorted(maps.Keys(known)))
	}
	r := sandbox.Runtime{Name: name}
	if isSet(found.Args, "ignore-cgroups") {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the runtime %s is set up with --ignore-cgroups: "+
			"no limit on memory, processes or processors holds in its sandboxes; take the argument out of the daemon's configuration", name))
	}
	if strings.HasPrefix(path.Base(found.Path), "runsc") && !isSet(found.Args, "oci-seccomp") {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the runtime %s is set up without --oci-seccomp: "+
			"the seccomp profile is not applied in its sandboxes; add the argument to the daemon's configuration", name))
	}
	return r, nil
}

// missingRuntime says how to add a runtime. The file's other content stays.
func missingRuntime(name string, known []string) error {
	how, args := "", ""
	if name == "runsc" {
		how = "`make runsc` adds gVisor to a daemon on this machine, or "
		args = `, "runtimeArgs": ["--network=none", "--oci-seccomp"]`
	}
	return fmt.Errorf(`docker: the engine has no runtime %q, it has %s; %sadd it to the daemon's /etc/docker/daemon.json and send the daemon SIGHUP:
  {"runtimes": {%q: {"path": "/usr/local/bin/%s"%s}}}`, name, strings.Join(known, ", "), how, name, name, args)
}

// isSet reports whether args turn a flag on, as Go's package flag reads them.
func isSet(args []string, name string) bool {
	set := false
	for _, arg := range args {
		flag, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if flag != name {
			continue
		}
		on, err := strconv.ParseBool(value)
		set = !given || err == nil && on
	}
	return set
}

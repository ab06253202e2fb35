package docker

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/attacks/attackstest"
	"github.com/preheat/preheat/sandbox/profile"
)

var tmpfsBounds = regexp.MustCompile(`\b(size=|nr_inodes=)\d+`)

// weakness is what each of attacks.Weaknesses does to a sandbox's profile. None
// may harm the machine: what bounds memory and processes is raised, not dropped.
var weakness = map[string]func(*container.Config, *container.HostConfig){
	"privileged": func(c *container.Config, h *container.HostConfig) {
		c.User = "0:0"
		h.CapAdd = attackstest.Capabilities
		h.ReadonlyRootfs = false
		h.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined"}
		h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
		for path, options := range h.Tmpfs {
			h.Tmpfs[path] = strings.NewReplacer("nosuid,", "", "nodev,", "").Replace(options)
		}
	},
	"unlimited": func(_ *container.Config, h *container.HostConfig) {
		const memory = 1 << 30
		pids := int64(256)
		h.Memory, h.MemorySwap, h.PidsLimit, h.NanoCPUs, h.Ulimits = memory, memory, &pids, 0, nil
		for path, options := range h.Tmpfs {
			h.Tmpfs[path] = tmpfsBounds.ReplaceAllString(options, "${1}536870912")
		}
	},
	"many-pids": func(_ *container.Config, h *container.HostConfig) { h.PidsLimit = new(int64(4096)) },
	"network": func(c *container.Config, h *container.HostConfig) {
		c.NetworkDisabled = false
		h.NetworkMode = "host"
	},
	"host-cgroups": func(_ *container.Config, h *container.HostConfig) {
		h.CgroupnsMode = container.CgroupnsModeHost
		h.Binds = []string{"/sys/fs/cgroup:/sys/fs/cgroup"}
	},
	"host-kernel": func(_ *container.Config, h *container.HostConfig) {
		h.Binds = []string{"/sys:/sys"}
		h.Devices = []container.DeviceMapping{{PathOnHost: "/dev/kmsg", PathInContainer: "/dev/kmsg", CgroupPermissions: "r"}}
		h.DeviceCgroupRules = []string{"a *:* rwm"}
	},
	"host-files": func(_ *container.Config, h *container.HostConfig) {
		h.Binds = []string{"/etc/passwd:/etc/passwd:ro", "/var/run/docker.sock:/var/run/docker.sock"}
	},
	"host-processes": func(_ *container.Config, h *container.HostConfig) { h.PidMode = "host" },
	"reused":         func(*container.Config, *container.HostConfig) {},
	"no-deadline":    func(*container.Config, *container.HostConfig) {},
	"no-flood":       func(*container.Config, *container.HostConfig) {},
}

// weakEngine makes the controls: containers that are launched as sandboxes are,
// by the same driver, with a profile that leaves out what is named.
type weakEngine struct{ driver *Driver }

func (w weakEngine) launch(t *testing.T, lang sandbox.Language, weak []string) (sandbox.Sandbox, error) {
	config, host := render(lang, w.driver.cfg.Instance, w.driver.users.Next())
	for _, name := range weak {
		weakness[name](config, host)
	}
	s := &Sandbox{driver: w.driver, lang: lang, name: containerName(lang.Name), oom: make(chan struct{})}
	if err := s.launch(t.Context(), config, host); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanUp)
		defer cancel()
		return nil, errors.Join(err, w.driver.remove(clean, s.name))
	}
	return s, nil
}

func (w weakEngine) enter(t *testing.T, s sandbox.Sandbox, lang sandbox.Language, folder string) (io.ReadWriteCloser, error) {
	api := w.driver.api
	created, err := api.ContainerExecCreate(t.Context(), s.ID(), container.ExecOptions{
		WorkingDir: folder, Cmd: append([]string{profile.AgentPath}, lang.Command...), AttachStdin: true, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, err
	}
	attached, err := api.ContainerExecAttach(t.Context(), created.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	return newStream(attached), nil
}

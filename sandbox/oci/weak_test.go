package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/attacks/attackstest"
)

var tmpfsBounds = regexp.MustCompile(`^(size=|nr_inodes=)\d+$`)

// weakness is what each of attacks.Weaknesses does to a sandbox's spec. None may
// harm the machine: what bounds memory and processes is raised, not dropped.
var weakness = map[string]func(*specs.Spec){
	"privileged": func(s *specs.Spec) {
		join(s, specs.UserNamespace)
		s.Process.User = specs.User{}
		all := attackstest.Capabilities
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
		s.Process.NoNewPrivileges = false
		s.Root.Readonly = false
		s.Linux.Seccomp, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Access: "m"})
		for i, m := range s.Mounts {
			if m.Type == "tmpfs" {
				s.Mounts[i].Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "nosuid" || o == "nodev" })
			}
		}
	},
	"unlimited": func(s *specs.Spec) {
		memory, pids := int64(1<<30), int64(256)
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &memory, Swap: &memory}
		s.Linux.Resources.Pids.Limit = &pids
		s.Linux.Resources.CPU = nil
		s.Process.Rlimits = nil
		for _, m := range s.Mounts {
			for i, o := range m.Options {
				m.Options[i] = tmpfsBounds.ReplaceAllString(o, "${1}536870912")
			}
		}
	},
	"many-pids": func(s *specs.Spec) { s.Linux.Resources.Pids.Limit = new(int64(4096)) },
	"network": func(s *specs.Spec) {
		join(s, specs.NetworkNamespace)
		bind(s, "/etc/resolv.conf", "ro")
	},
	"host-cgroups": func(s *specs.Spec) {
		join(s, specs.CgroupNamespace)
		bind(s, "/sys/fs/cgroup", "rw")
	},
	"host-kernel": func(s *specs.Spec) {
		bind(s, "/sys", "rw")
		kmsg := specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}
		s.Linux.Devices = append(s.Linux.Devices, kmsg)
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"})
	},
	"host-files": func(s *specs.Spec) {
		bind(s, "/etc/passwd", "ro")
		bind(s, "/var/run/docker.sock", "rw")
	},
	"host-processes": func(s *specs.Spec) { join(s, specs.PIDNamespace) },
	"reused":         func(*specs.Spec) {},
	"no-deadline":    func(*specs.Spec) {},
	"no-flood":       func(*specs.Spec) {},
}

// join puts the container into the host's namespace of a kind, and of users:
// who is root in one of his own has no rights over the host's others.
func join(s *specs.Spec, kind specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == kind || n.Type == specs.UserNamespace
	})
	s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
}

// bind mounts a path of the host at the same path in the container, in the place
// of what else would be there.
func bind(s *specs.Spec, path, mode string) {
	m := specs.Mount{Destination: path, Source: path, Type: "bind", Options: []string{"rbind", "rprivate", mode}}
	i := slices.IndexFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == path })
	if i < 0 {
		s.Mounts = append(s.Mounts, m)
		return
	}
	s.Mounts[i] = m
}

// weakDriver makes the controls: containers that are launched as sandboxes are,
// by the same driver, with a spec that leaves out what is named.
type weakDriver struct{ driver *Driver }

// control is a sandbox with the process that its runtime was told to start.
type control struct {
	*Sandbox
	process specs.Process
}

func (w weakDriver) launch(t *testing.T, lang sandbox.Language, weak []string) (sandbox.Sandbox, error) {
	c := &control{}
	var err error
	c.Sandbox, err = w.driver.launch(t.Context(), lang, func(s *specs.Spec) {
		for _, name := range weak {
			weakness[name](s)
		}
		if s.Linux.UIDMappings == nil {
			s.Root.Path = w.ownRoot(t, s.Root.Path)
		}
		c.process = *s.Process
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ownRoot returns a root like that at shared, whose files are no sandbox's: root
// could write to them. What is written is in memory. The driver alone sees these
// mounts, and they end with their folder.
func (w weakDriver) ownRoot(t *testing.T, shared string) string {
	folder := t.TempDir()
	upper, work, root := filepath.Join(folder, "upper"), filepath.Join(folder, "work"), filepath.Join(folder, "root")
	err := w.driver.starter.do(func() error {
		return errors.Join(
			unix.Mount("tmpfs", folder, "tmpfs", 0, "mode=755"),
			unix.Mkdir(upper, 0o755), unix.Mkdir(work, 0o755), unix.Mkdir(root, 0o755),
			unix.Mount("overlay", root, "overlay", 0, "lowerdir="+shared+",upperdir="+upper+",workdir="+work))
	})
	if err != nil {
		t.Errorf("no root of its own: %v", err)
	}
	return root
}

// enter starts one more agent by the runtime's exec, which the driver has no
// use for.
func (w weakDriver) enter(t *testing.T, s sandbox.Sandbox, _ sandbox.Language, folder string) (io.ReadWriteCloser, error) {
	c := s.(*control)
	process := c.process
	process.Cwd = folder
	text, err := json.Marshal(process)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(t.TempDir(), "process.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	p, err := newPipes()
	if err != nil {
		return nil, err
	}
	cmd := c.command(t.Context(), "exec", "--detach", "--process", file, c.id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.theirs[0], p.theirs[1], p.theirs[2]
	err = w.driver.starter.start(cmd)
	p.started()
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("%w; it said: %s", err, p.said.String())
	}
	return p, nil
}

package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

var tmpfsBounds = regexp.MustCompile(`\b(size=|nr_inodes=)\d+`)

// capabilities are all that every Engine knows but CAP_SYS_RESOURCE: an Engine
// cannot give what it lacks itself, and some virtual machines withhold that one.
var capabilities = strings.Fields(`AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN
	DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE
	MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN
	SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`)

// weakness is what each of attacks.Weaknesses does to a sandbox's profile. None
// may harm the machine: what bounds memory and processes is raised, not dropped.
var weakness = map[string]func(*container.Config, *container.HostConfig){
	"privileged": func(c *container.Config, h *container.HostConfig) {
		c.User = "0:0"
		h.CapAdd = capabilities
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

// weakDriver makes the controls: containers that are launched as sandboxes are,
// by the same driver, with a profile that leaves out what is named.
type weakDriver struct {
	t      *testing.T
	driver *Driver
	weak   []string

	once   sync.Once
	reused sandbox.Sandbox // the one container, when it is used again
	uses   int             // of it
}

func (w *weakDriver) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	if !slices.Contains(w.weak, "reused") {
		return w.launch(ctx, lang)
	}
	var err error
	w.once.Do(func() {
		w.reused, err = w.launch(ctx, lang)
		w.t.Cleanup(func() {
			if w.reused != nil {
				w.reused.Destroy(context.WithoutCancel(ctx))
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return w.exec(ctx, lang)
}

func (w *weakDriver) launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	config, host := profile(lang, w.driver.cfg.Instance, w.driver.nextUID())
	for _, name := range w.weak {
		weakness[name](config, host)
	}
	s := &Sandbox{driver: w.driver, lang: lang, name: containerName(lang.Name), oom: make(chan struct{})}
	if err := s.launch(ctx, config, host); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		defer cancel()
		return nil, errors.Join(err, w.driver.remove(clean, s.name))
	}
	return s, nil
}

// exec starts one more agent in the container that is reused.
func (w *weakDriver) exec(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	api := w.driver.api
	// The agent overwrites no files, so a second program needs another folder.
	folder := []string{workFolder, "/dev/shm"}[w.uses]
	w.uses++
	created, err := api.ContainerExecCreate(ctx, w.reused.ID(), container.ExecOptions{
		WorkingDir: folder, Cmd: append([]string{agentPath}, lang.Command...), AttachStdin: true, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, err
	}
	attached, err := api.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	conn, err := agent.Handshake(ctx, lang, rand.Text(), newStream(attached))
	if err != nil {
		return nil, err
	}
	return &execution{Conn: conn, id: w.reused.ID()}, nil
}

// execution is an agent that is not the first process of its container.
type execution struct {
	*agent.Conn
	id string // of the container
}

func (e *execution) ID() string            { return e.id }
func (e *execution) Dead() <-chan struct{} { return e.Done() }

func (e *execution) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	res, err := e.Conn.Run(ctx, p, out)
	if errors.Is(err, agent.ErrLost) {
		return sandbox.Result{Status: sandbox.Error, ExitCode: sandbox.ExitKilled}, nil
	}
	return res, err
}

func (e *execution) Destroy(context.Context) error {
	e.Close()
	return nil
}

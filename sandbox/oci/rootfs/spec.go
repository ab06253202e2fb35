package rootfs

import (
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/profile"
)

// Limits of a step.
const (
	stepMemory = 1 << 30 // bytes
	stepPids   = 256
)

// specVersion is what the container is written in: no more is needed, and older
// cruns refuse newer ones.
const specVersion = "1.0.2"

// capabilities are those of Docker's default but NET_RAW: what dpkg needs.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// spec is the container of a step: root, but with few capabilities, no device
// but the usual, and no network unless the step needs the machine's.
func spec(step images.Step, name string) *specs.Spec {
	namespaces := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755", "size=65536k"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	}
	if step.Network {
		mounts = append(mounts, resolverMounts()...)
	} else {
		namespaces = append(namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}
	return &specs.Spec{
		Version:  specVersion,
		Hostname: "preheat",
		Root:     &specs.Root{Path: rootfsName},
		Mounts:   mounts,
		Process: &specs.Process{
			Args:            step.Args(),
			Env:             []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
			Cwd:             "/",
			NoNewPrivileges: true,
			Capabilities:    &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Linux: &specs.Linux{
			CgroupsPath: "/" + name,
			Namespaces:  namespaces,
			Resources: &specs.LinuxResources{
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
				Memory:  &specs.LinuxMemory{Limit: new(int64(stepMemory))},
				Pids:    &specs.LinuxPids{Limit: new(int64(stepPids))},
			},
			MaskedPaths:   profile.Masked,
			ReadonlyPaths: profile.ReadOnly,
		},
	}
}

// resolverMounts show the machine's way of finding hosts.
func resolverMounts() []specs.Mount {
	var mounts []specs.Mount
	for _, file := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		if _, err := os.Stat(file); err == nil {
			mounts = append(mounts, specs.Mount{Destination: file, Type: "bind", Source: file, Options: []string{"bind", "ro"}})
		}
	}
	return mounts
}

package oci

import (
	"runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

// searchPath is the PATH in a sandbox.
const searchPath = "/usr/local/bin:/usr/bin:/bin"

// cpuPeriod is the period of the processor quota, in microseconds.
const cpuPeriod = 100_000

// ids is one range of a user namespace: what is 0 in the sandbox is base on the
// host. A size of 0 means no user namespace.
type ids struct{ base, size uint32 }

// render is the whole lock-down of a sandbox, as an OCI runtime is told it. The
// root is tree.
func render(lang sandbox.Language, tree string, user int, mapped ids, cgroup string) *specs.Spec {
	p := profile.New(lang, user)
	id := uint32(p.User)
	return &specs.Spec{
		Version:  "1.0.2",
		Hostname: profile.Hostname,
		Root:     &specs.Root{Path: tree, Readonly: true},
		Process: &specs.Process{
			Args:            p.Command,
			Env:             append([]string{"PATH=" + searchPath}, p.Env...),
			Cwd:             profile.WorkFolder,
			User:            specs.User{UID: id, GID: id},
			Capabilities:    &specs.LinuxCapabilities{},
			NoNewPrivileges: true,
			Rlimits:         rlimits(p.Rlimits),
			OOMScoreAdj:     &p.OOMScore,
		},
		Mounts: mounts(p),
		Linux: &specs.Linux{
			Namespaces:        namespaces(mapped),
			UIDMappings:       mapped.mappings(),
			GIDMappings:       mapped.mappings(),
			MaskedPaths:       profile.Masked,
			ReadonlyPaths:     append([]string{cgroupRoot}, profile.ReadOnly...), // with version 1, crun lets all write to its folder
			Seccomp:           filter(),
			RootfsPropagation: "private",
			CgroupsPath:       cgroup,
			Resources: &specs.LinuxResources{
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, // but those of every container
				Memory:  &specs.LinuxMemory{Limit: &p.MemoryBytes, Swap: &p.MemoryBytes},
				CPU:     &specs.LinuxCPU{Quota: new(p.NanoCPUs * cpuPeriod / 1e9), Period: new(uint64(cpuPeriod))},
				Pids:    &specs.LinuxPids{Limit: &p.Pids},
			},
		},
	}
}

func rlimits(list []profile.Rlimit) []specs.POSIXRlimit {
	names := map[string]string{"core": "RLIMIT_CORE", "fsize": "RLIMIT_FSIZE", "nofile": "RLIMIT_NOFILE"}
	out := make([]specs.POSIXRlimit, len(list))
	for i, l := range list {
		out[i] = specs.POSIXRlimit{Type: names[l.Name], Soft: l.Value, Hard: l.Value}
	}
	return out
}

// mounts are the Engine's for a container, without what package profile masks.
func mounts(p profile.Profile) []specs.Mount {
	list := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
	}
	for _, t := range p.Writable {
		list = append(list, specs.Mount{Destination: t.Path, Type: "tmpfs", Source: "tmpfs", Options: t.Options()})
	}
	return list
}

func namespaces(mapped ids) []specs.LinuxNamespace {
	list := []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.UTSNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.CgroupNamespace},
		{Type: specs.NetworkNamespace}, // new, and nothing is put into it
	}
	if mapped.size > 0 {
		list = append(list, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	return list
}

func (i ids) mappings() []specs.LinuxIDMapping {
	if i.size == 0 {
		return nil
	}
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: i.base, Size: i.size}}
}

// architectures are the names that filters have for Go's.
var architectures = map[string]specs.Arch{"amd64": specs.ArchX86_64, "arm64": specs.ArchAARCH64}

// filter is the allowlist of system calls in the runtimes' format.
func filter() *specs.LinuxSeccomp {
	allowed, err := seccomp.Parse([]byte(seccomp.JSON()))
	if err != nil {
		panic(err) // it is part of the program, and tested
	}
	out := &specs.LinuxSeccomp{
		DefaultAction: specs.LinuxSeccompAction(allowed.DefaultAction),
		Architectures: []specs.Arch{architectures[runtime.GOARCH]},
	}
	for _, r := range allowed.Syscalls {
		call := specs.LinuxSyscall{Names: r.Names, Action: specs.LinuxSeccompAction(r.Action)}
		if r.ErrnoRet != 0 {
			call.ErrnoRet = new(uint(r.ErrnoRet))
		}
		for _, a := range r.Args {
			call.Args = append(call.Args, specs.LinuxSeccompArg{
				Index: uint(a.Index), Value: a.Value, ValueTwo: a.ValueTwo, Op: specs.LinuxSeccompOperator(a.Op)})
		}
		out.Syscalls = append(out.Syscalls, call)
	}
	return out
}

package doctor

import (
	"fmt"
	"slices"

	"github.com/preheat/preheat/sandbox/doctor"
)

// Judge says what the facts mean.
func Judge(f Facts) []doctor.Check {
	engine := doctor.JudgePart("engine", f.Engine, engineFloors, "the Engine")
	engine.Found += ", API " + f.APIVersion
	return []doctor.Check{
		engine,
		doctor.JudgePart("runc", f.Runc, doctor.RuncFloors, "runc (in the package containerd.io or runc)"),
		judgeCgroup(f.Cgroup),
		doctor.JudgeLimits(f.Limits),
		judgeStorage(f.Storage),
		judgeSecurity("seccomp", f.Security, []string{"seccomp"}, doctor.Fail,
			"take a kernel with CONFIG_SECCOMP_FILTER and an Engine built with seccomp: without it every system call is open to programs"),
		judgeSecurity("apparmor", f.Security, []string{"apparmor", "selinux"}, doctor.Warn,
			"boot a kernel with AppArmor (apparmor=1 security=apparmor) or SELinux and restart the Engine: a second wall around /proc and mounts"),
		judgeSecurity("userns", f.Security, []string{"userns", "rootless"}, doctor.Warn,
			`set "userns-remap": "default" in /etc/docker/daemon.json, or run the Engine rootless: then root in a container is nobody on the machine; images have to be made again`),
	}
}

func judgeCgroup(version string) doctor.Check {
	c := doctor.Check{Name: "cgroup", Level: doctor.Pass, Found: "version " + version}
	if version != "1" && version != "2" {
		c.Level, c.Found = doctor.Fail, fmt.Sprintf("version unknown: %q", version)
		c.Advice = "mount the cgroup file system and restart the Engine: limits hang on it"
	}
	return c
}

func judgeStorage(driver string) doctor.Check {
	c := doctor.Check{Name: "storage", Level: doctor.Pass, Found: driver}
	if !slices.Contains([]string{"overlay2", "overlayfs", "fuse-overlayfs", "btrfs", "zfs", "overlay"}, driver) {
		c.Level = doctor.Warn
		c.Advice = "move the Engine to overlay2: this driver may copy the whole image for every sandbox"
	}
	return c
}

func judgeSecurity(name string, have, want []string, missing doctor.Level, advice string) doctor.Check {
	for _, w := range want {
		if slices.Contains(have, w) {
			return doctor.Check{Name: name, Level: doctor.Pass, Found: w + " is on"}
		}
	}
	return doctor.Check{Name: name, Level: missing, Found: "is not on", Advice: advice}
}

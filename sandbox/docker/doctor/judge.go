package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Judge says what the facts mean.
func Judge(f Facts) []Check {
	engine := judgePart("engine", f.Engine, engineFloors, "the Engine")
	engine.Found += ", API " + f.APIVersion
	return []Check{
		engine,
		judgePart("runc", f.Runc, runcFloors, "runc (in the package containerd.io or runc)"),
		judgeCgroup(f.Cgroup),
		judgeLimits(f),
		judgeStorage(f.Storage),
		judgeSecurity("seccomp", f.Security, []string{"seccomp"}, Fail,
			"take a kernel with CONFIG_SECCOMP_FILTER and an Engine built with seccomp: without it every system call is open to programs"),
		judgeSecurity("apparmor", f.Security, []string{"apparmor", "selinux"}, Warn,
			"boot a kernel with AppArmor (apparmor=1 security=apparmor) or SELinux and restart the Engine: a second wall around /proc and mounts"),
		judgeSecurity("userns", f.Security, []string{"userns", "rootless"}, Warn,
			`set "userns-remap": "default" in /etc/docker/daemon.json, or run the Engine rootless: then root in a container is nobody on the machine; images have to be made again`),
	}
}

// judgePart compares a part with the floors below which it has known holes.
func judgePart(name string, p Part, floors []floor, what string) Check {
	c := Check{Name: name, Level: Pass, Found: p.Version}
	v, ok := parseVersion(p)
	if !ok {
		c.Level, c.Found = Warn, "version unknown: "+fmt.Sprintf("%q", p.Version)
		c.Advice = "see to it yourself that " + what + " has no known holes"
		return c
	}
	if v.packaged && p.Commit != "" {
		c.Found += " (" + p.Commit + ")"
	}
	var open []string
	for _, fl := range floors {
		if !fl.fixes(v) {
			open = append(open, fmt.Sprintf("%s (fixed in %s)", fl.cves, strings.Join(fl.fixed, ", ")))
		}
	}
	switch {
	case len(open) == 0:
		return c
	case v.packaged:
		c.Level = Warn
		c.Advice = "look for these in the package's changelog or the distribution's security tracker: it may have mended them under the old version\n" + strings.Join(open, "\n")
	default:
		c.Level = Fail
		c.Advice = "update " + what + ": this version has known holes\n" + strings.Join(open, "\n")
	}
	return c
}

func judgeCgroup(version string) Check {
	c := Check{Name: "cgroup", Level: Pass, Found: "version " + version}
	if version != "1" && version != "2" {
		c.Level, c.Found = Fail, fmt.Sprintf("version unknown: %q", version)
		c.Advice = "mount the cgroup file system and restart the Engine: limits hang on it"
	}
	return c
}

func judgeLimits(f Facts) Check {
	var has, missing []string
	for _, limit := range []struct {
		name string
		has  bool
	}{{"memory", f.MemoryLimit}, {"pids", f.PidsLimit}, {"cpu", f.CPULimit}, {"swap", f.SwapLimit}} {
		if limit.has {
			has = append(has, limit.name)
		} else {
			missing = append(missing, limit.name)
		}
	}
	c := Check{Name: "limits", Level: Pass, Found: strings.Join(has, ", ")}
	if len(missing) == 0 {
		return c
	}
	c.Found = "not limited: " + strings.Join(missing, ", ")
	c.Level, c.Advice = Fail, "enable these cgroup controllers, and delegate them where the Engine is rootless: a program could take the whole machine"
	if len(missing) == 1 && !f.SwapLimit {
		c.Level, c.Advice = Warn, "boot with swapaccount=1, or turn swap off: a program can take swap beyond its memory limit"
	}
	return c
}

func judgeStorage(driver string) Check {
	c := Check{Name: "storage", Level: Pass, Found: driver}
	if !slices.Contains([]string{"overlay2", "overlayfs", "fuse-overlayfs", "btrfs", "zfs", "overlay"}, driver) {
		c.Level = Warn
		c.Advice = "move the Engine to overlay2: this driver may copy the whole image for every sandbox"
	}
	return c
}

func judgeSecurity(name string, have, want []string, missing Level, advice string) Check {
	for _, w := range want {
		if slices.Contains(have, w) {
			return Check{Name: name, Level: Pass, Found: w + " is on"}
		}
	}
	return Check{Name: name, Level: missing, Found: "is not on", Advice: advice}
}

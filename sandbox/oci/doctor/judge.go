package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preheat/preheat/sandbox/doctor"
)

// crunFloors are the ways out of a container that crun had; those of krun are
// only in a crun that was built with it. Not here: holes of exec, checkpoints
// and images from strangers, which preheat does not have.
// https://github.com/containers/crun/security/advisories
var (
	crunFloors = []doctor.Floor{{CVEs: "CVE-2019-18837", Fixed: []string{"0.10.5"}}}
	krunFloors = []doctor.Floor{{CVEs: "CVE-2025-24965", Fixed: []string{"1.20"}}, {CVEs: "CVE-2026-84042", Fixed: []string{"1.30"}}}
)

// Judge says what the facts mean.
func Judge(f Facts) []doctor.Check {
	checks := judgeRuntimes(f.Runtimes)
	return append(checks,
		judgeCgroup(f),
		doctor.JudgeLimits(f.Limits),
		judgeUser(f),
		judgeNamespaces(f),
		judgeSeccomp(f.Seccomp))
}

func judgeRuntimes(found []Runtime) []doctor.Check {
	var checks []doctor.Check
	for _, r := range found {
		var floors []doctor.Floor
		switch {
		case r.Name == "runc":
			floors = doctor.RuncFloors
		case r.Name == "crun" && r.Krun:
			floors = slices.Concat(crunFloors, krunFloors)
		case r.Name == "crun":
			floors = crunFloors
		}
		checks = append(checks, doctor.JudgePart(r.Name, r.Part, floors, r.Name))
	}
	if !slices.ContainsFunc(found, func(r Runtime) bool { return r.Name == "crun" || r.Name == "runc" }) {
		checks = append(checks, doctor.Check{Name: "runtimes", Level: doctor.Fail, Found: "neither crun nor runc is on PATH",
			Advice: "install one: apt-get install crun; gVisor's runsc is only taken where --runtime names it"})
	}
	return checks
}

func judgeCgroup(f Facts) doctor.Check {
	c := doctor.Check{Name: "cgroup", Level: doctor.Pass, Found: "version " + f.Cgroup}
	if len(f.Hybrid) > 0 {
		c.Found += ", beside version 2 with " + strings.Join(f.Hybrid, ", ")
	}
	if f.Cgroup == "" {
		c.Level, c.Found, c.Advice = doctor.Fail, "not mounted", "mount the cgroup file system on /sys/fs/cgroup: limits hang on it"
	}
	return c
}

func judgeUser(f Facts) doctor.Check {
	if f.Root {
		return doctor.Check{Name: "user", Level: doctor.Pass, Found: "root"}
	}
	return doctor.Check{Name: "user", Level: doctor.Warn, Found: "not root",
		Advice: "all sandboxes have your uid on this machine, so a program that gets out is you, and what the kernel counts by user they share; images with packages cannot be made: run preheat as root"}
}

func judgeNamespaces(f Facts) doctor.Check {
	c := doctor.Check{Name: "userns", Level: doctor.Pass, Found: fmt.Sprintf("up to %d", f.Namespaces)}
	switch {
	case f.Namespaces == 0:
		c.Level, c.Found = doctor.Fail, "none"
		c.Advice = "set user.max_user_namespaces with sysctl, and take a kernel with CONFIG_USER_NS: each sandbox has a user namespace of its own"
	case !f.Root && !f.UsersMayToo:
		c.Level, c.Found = doctor.Fail, "for root only"
		c.Advice = "run preheat as root, or allow it: sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0"
	}
	return c
}

func judgeSeccomp(on bool) doctor.Check {
	if on {
		return doctor.Check{Name: "seccomp", Level: doctor.Pass, Found: "seccomp is on"}
	}
	return doctor.Check{Name: "seccomp", Level: doctor.Fail, Found: "is not on",
		Advice: "take a kernel with CONFIG_SECCOMP_FILTER: without it every system call is open to programs"}
}

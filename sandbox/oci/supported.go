package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Supported says why this machine cannot run sandboxes without a daemon, and
// what to do; nil means that it can.
func Supported() error {
	if _, err := Find(""); err != nil {
		return err
	}
	h, err := readHierarchies()
	if err != nil {
		return err
	}
	if _, err := h.parent(); err != nil {
		return err
	}
	return userNamespaces()
}

// userNamespaces says why there can be none.
func userNamespaces() error {
	text, err := os.ReadFile("/proc/sys/user/max_user_namespaces")
	if err != nil {
		return errors.New("oci: this kernel has no user namespaces (CONFIG_USER_NS), which sandboxes need")
	}
	if strings.TrimSpace(string(text)) == "0" {
		return errors.New("oci: user namespaces are turned off, and sandboxes need them; `sysctl user.max_user_namespaces=10000` turns them on")
	}
	return nil
}

func readHierarchies() (hierarchies, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchies{}, fmt.Errorf("oci: %w", err)
	}
	h := parseMounts(string(text))
	if h.hybrid != "" {
		if controllers, err := os.ReadFile(filepath.Join(h.hybrid, "cgroup.controllers")); err != nil || len(controllers) < 2 {
			h.hybrid = "" // nothing that crun would mind
		}
	}
	if len(h.mounts) == 0 {
		return h, errors.New("oci: no cgroup file system is mounted, so no limit would hold; mount one at " + cgroupRoot)
	}
	return h, nil
}

// parent chooses the cgroup below which all sandboxes have theirs.
func (h hierarchies) parent() (string, error) {
	root := os.Geteuid() == 0
	if h.unified == "" {
		if !root {
			return "", errors.New("oci: with version 1 of cgroups only root can set limits; run as root, or boot with systemd.unified_cgroup_hierarchy=1")
		}
		return "/preheat", nil
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("oci: %w", err)
	}
	own := parseOwn(string(text))
	if own != "/" && delegated(filepath.Join(cgroupRoot, own), root) {
		return own, leaf(own)
	}
	if !root {
		return "", fmt.Errorf("oci: the cgroup %s is not delegated to this user, so no limit could be set; "+
			"run as root, or in a unit with Delegate=yes: `systemd-run --user --scope -p Delegate=yes preheat serve`", own)
	}
	return "/preheat", nil
}

// parseOwn reads /proc/self/cgroup of version 2.
func parseOwn(text string) string {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return strings.TrimSuffix(path, "/"+ownLeaf)
		}
	}
	return "/"
}

// delegated reports whether a cgroup is this process's to divide: systemd marks
// it, and for another user than root being able to write it is enough.
func delegated(dir string, root bool) bool {
	if !root {
		return unix.Access(filepath.Join(dir, "cgroup.subtree_control"), unix.W_OK) == nil
	}
	var mark [8]byte
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		if n, err := unix.Getxattr(dir, name, mark[:]); err == nil && string(mark[:n]) == "1" {
			return true
		}
	}
	return false
}

// ownLeaf is where this process goes in a cgroup that it divides: one with
// controllers for its children may have no processes itself.
const ownLeaf = "server"

func leaf(own string) error {
	dir := filepath.Join(cgroupRoot, own, ownLeaf)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("oci: %w", err)
	}
	if err := put(filepath.Join(dir, "cgroup.procs"), "0"); err != nil {
		return fmt.Errorf("oci: move to the cgroup %s: %w", dir, err)
	}
	if others, _ := os.ReadFile(filepath.Join(cgroupRoot, own, "cgroup.procs")); len(others) > 0 {
		return fmt.Errorf("oci: the cgroup %s cannot be divided, for other processes are in it: %s; start preheat in "+
			"a unit of its own: `systemd-run --user --scope -p Delegate=yes preheat serve`", own, strings.Fields(string(others)))
	}
	return nil
}

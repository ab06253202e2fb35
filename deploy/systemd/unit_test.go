// Package systemd has no code: its test checks the unit.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	unitFile = "preheat.service"
	ociFile  = "oci.conf" // changes the unit
)

// readUnit returns the values of each directive of the section Service.
func readUnit(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	directives := map[string][]string{}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, value, isDirective := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		case !isDirective:
			t.Errorf("the line %q is none of a unit", line)
		case section == "[Service]":
			directives[name] = append(directives[name], value)
		}
	}
	return directives
}

func TestTheUnitLocksTheServerDown(t *testing.T) {
	unit := readUnit(t, unitFile)
	for name, want := range map[string]string{
		"Type": "notify", "User": "preheat", "StateDirectory": "preheat", "StateDirectoryMode": "0700",
		"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes",
		"PrivateTmp": "yes", "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes", "RestrictNamespaces": "yes",
		"RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "SystemCallArchitectures": "native",
		"SystemCallFilter": "@system-service ~@privileged @resources",
	} {
		if got := strings.Join(unit[name], " "); unit[name] == nil || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name := range unit {
		if name == "ReadWritePaths" || name == "DeviceAllow" {
			t.Errorf("the unit has %s", name)
		}
	}
	stop, err := time.ParseDuration(unit["TimeoutStopSec"][0] + "s")
	if least := (5 + 15 + 30) * time.Second; err != nil || stop <= least {
		t.Errorf("TimeoutStopSec is %v (%v); a drain of 5 s, the grace and the removal of sandboxes take up to %v", stop, err, least)
	}
}

func TestWithoutAnEngineTheUnitForbidsNoSandbox(t *testing.T) {
	unit := readUnit(t, ociFile)
	for name, want := range map[string]string{
		"Environment": "PREHEAT_DRIVER=oci", "User": "root", "Delegate": "yes", "KillMode": "mixed", "RuntimeDirectory": "preheat",
		"ProtectControlGroups": "no", "CapabilityBoundingSet": "~", "RestrictNamespaces": "no", "SystemCallFilter": "",
		"MemoryDenyWriteExecute": "no", "ProtectKernelTunables": "no", "ProcSubset": "all",
	} {
		if got := strings.Join(unit[name], " "); unit[name] == nil || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	base := readUnit(t, unitFile)
	for name := range unit {
		if base[name] == nil && !slices.Contains([]string{"Delegate", "KillMode", "RuntimeDirectory", "RuntimeDirectoryMode"}, name) {
			t.Errorf("%s changes nothing of the unit", name)
		}
	}
}

func TestSystemdAcceptsTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// verify wants the program to be there.
	file := filepath.Join(t.TempDir(), unitFile)
	changed := strings.Replace(string(text), "ExecStart=/usr/local/bin/preheat", "ExecStart=/bin/true", 1)
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	analyze := func(args ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
	analyze("verify", "--man=no", file)
	analyze("security", "--offline=true", "--threshold=20", file) // an exposure of at most 2.0
	oci, err := os.ReadFile(ociFile)
	if err == nil {
		err = os.Mkdir(file+".d", 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(file+".d", ociFile), oci, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	analyze("verify", "--man=no", file)
}

// Package systemd has no code: its test checks the unit.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const unitFile = "preheat.service"

// readUnit returns the values of each directive of the section Service.
func readUnit(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(unitFile)
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
	unit := readUnit(t)
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
	for _, args := range [][]string{
		{"verify", "--man=no", file},
		{"security", "--offline=true", "--threshold=20", file}, // an exposure of at most 2.0
	} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

package httpapi

import (
	"net"
	"testing"
)

func TestHostAllowed(t *testing.T) {
	allowed := []string{"Preheat.example", "other.example:8080"}
	tests := map[string]bool{
		"localhost":             true,
		"LocalHost:5000":        true,
		"127.0.0.1:80":          true,
		"[::1]:5000":            true,
		"[::1]":                 true,
		"preheat.example":       true,
		"preheat.example:99":    true,
		"other.example:8080":    true,
		"other.example":         false,
		"other.example:80":      false,
		"":                      false,
		"evil.example":          false,
		"localhost.evil":        false,
		"127.0.0.1.evil:5000":   false,
		"127.0.0.1@evil":        false,
		"0.0.0.0:5000":          false,
		"localhost:5000:5000":   false,
		"localhost, evil":       false,
		"user@localhost:5000":   false,
		"xn--localhost:5000":    false,
		"evil.example#:5000":    false,
		"[::1].evil":            false,
		"preheat.example.:5000": false,
	}
	for host, want := range tests {
		if got := hostAllowed(host, allowed); got != want {
			t.Errorf("hostAllowed(%q) is %v", host, got)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	tests := []struct {
		origin, host string
		want         bool
	}{
		{"http://localhost:5000", "localhost:5000", true},
		{"http://LOCALHOST:5000", "localhost:5000", true},
		{"http://localhost", "localhost:80", true},
		{"https://preheat.example", "preheat.example", true},
		{"https://preheat.example", "preheat.example:443", true},
		{"http://[::1]:5000", "[::1]:5000", true},
		{"http://localhost:5001", "localhost:5000", false},
		{"http://127.0.0.1:5000", "localhost:5000", false},
		{"https://preheat.example", "preheat.example:80", false},
		{"http://evil.example", "localhost:5000", false},
		{"null", "localhost:5000", false},
		{"file://", "localhost:5000", false},
		{"chrome-extension://localhost:5000", "localhost:5000", false},
		{"http://evil@localhost:5000", "localhost:5000", false},
		{"http://localhost:5000/path", "localhost:5000", false},
		{"http://%zz", "localhost:5000", false},
	}
	for _, tt := range tests {
		if got := originAllowed(tt.origin, tt.host); got != tt.want {
			t.Errorf("originAllowed(%q, %q) is %v", tt.origin, tt.host, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	tests := map[string]bool{"127.0.0.1": true, "127.0.0.2": true, "::1": true, "0.0.0.0": false, "::": false, "192.0.2.1": false}
	for ip, want := range tests {
		if got := isLoopback(&net.TCPAddr{IP: net.ParseIP(ip)}); got != want {
			t.Errorf("isLoopback(%s) is %v", ip, got)
		}
	}
	if isLoopback(&net.UnixAddr{Name: "/run/preheat.sock", Net: "unix"}) {
		t.Error("a Unix socket counts as loopback")
	}
}

package main

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listenAsSystemd returns the name of a socket and what arrives at it, until the
// test ends.
func listenAsSystemd(t *testing.T) (name string, told <-chan string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1000)
	go func() { // ends with the socket
		defer close(heard)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		_, open := <-heard
		for open {
			_, open = <-heard
		}
	})
	return name, heard
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestSystemdIsToldThatTheServerLives(t *testing.T) {
	name, told := listenAsSystemd(t)
	s := newSystemd(env("NOTIFY_SOCKET="+name, "WATCHDOG_USEC=2000"), slog.New(slog.DiscardHandler))
	for range 3 {
		if got := <-told; got != notifyAlive {
			t.Errorf("systemd was told %q", got)
		}
	}
	s.Close()
}

func TestASystemdThatIsGoneIsLogged(t *testing.T) {
	var log bytes.Buffer
	s := newSystemd(env("NOTIFY_SOCKET=@preheat-nobody"), slog.New(slog.NewTextHandler(&log, nil)))
	defer s.Close()
	s.tell(notifyReady)
	if !strings.Contains(log.String(), "systemd could not be told") {
		t.Errorf("the log is %q", &log)
	}
}

func TestWatchdogEvery(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want time.Duration
	}{
		{nil, 0},
		{[]string{"WATCHDOG_USEC=20000000"}, 10 * time.Second},
		{[]string{"WATCHDOG_USEC=20000000", "WATCHDOG_PID=7"}, 10 * time.Second},
		{[]string{"WATCHDOG_USEC=20000000", "WATCHDOG_PID=8"}, 0},
		{[]string{"WATCHDOG_USEC=soon"}, 0},
		{[]string{"WATCHDOG_USEC=-1"}, 0},
	} {
		if got := watchdogEvery(env(tt.env...), 7); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.env, got, tt.want)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What systemd is told; see sd_notify(3).
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
	notifyAlive    = "WATCHDOG=1"
)

// systemd is told how the server does: datagrams to a socket that it names. It
// is so little that a library would be more. Without a socket nobody is told.
type systemd struct {
	socket   string        // a path, or a name that begins with @
	watchdog time.Duration // how often to say notifyAlive; 0 for never
	log      *slog.Logger
	beats    sync.WaitGroup
	stop     context.CancelFunc
}

// newSystemd begins to say notifyAlive if that is asked for. Close must follow.
func newSystemd(getenv func(string) string, log *slog.Logger) *systemd {
	ctx, stop := context.WithCancel(context.Background())
	s := &systemd{socket: getenv("NOTIFY_SOCKET"), watchdog: watchdogEvery(getenv, os.Getpid()), log: log, stop: stop}
	if s.watchdog > 0 {
		s.beats.Go(func() { s.beat(ctx) })
	}
	return s
}

// Close ends what newSystemd began.
func (s *systemd) Close() {
	s.stop()
	s.beats.Wait()
}

func (s *systemd) beat(ctx context.Context) {
	tick := time.NewTicker(s.watchdog)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.tell(notifyAlive)
		}
	}
}

func (s *systemd) tell(lines ...string) {
	if s.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(strings.Join(lines, "\n")))
		conn.Close()
	}
	if err != nil {
		s.log.Warn("systemd could not be told", "what", lines[0], "error", err)
	}
}

// reloading says when a reload began, so that systemd can tell its end.
func (s *systemd) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		s.log.Warn("the monotonic clock cannot be read", "error", err)
		return
	}
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// watchdogEvery is half the time within which systemd wants a sign of life from
// the process, or 0.
func watchdogEvery(getenv func(string) string, pid int) time.Duration {
	if whose := getenv("WATCHDOG_PID"); whose != "" && whose != strconv.Itoa(pid) {
		return 0
	}
	limit, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || limit <= 0 {
		return 0
	}
	return time.Duration(limit) * time.Microsecond / 2
}

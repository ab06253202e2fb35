package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"time"
)

const (
	startWait = time.Minute // for readiness, and for a full pool
	stopWait  = time.Minute // for an end after SIGTERM
)

// errRefused marks a 429 or 503.
var errRefused = errors.New("the server refused")

// server is a preheat under measurement.
type server struct {
	url    string
	http   http.Client
	cmd    *exec.Cmd
	begun  time.Time
	end    context.CancelFunc
	exited chan struct{} // closed by the goroutine that waits for the process
	log    bytes.Buffer  // what the process said; to be read after exited
}

// startServer starts path on a free port. Only stop ends it, not ctx.
func startServer(ctx context.Context, path string, args ...string) (*server, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	ln.Close()
	s := &server{url: "http://" + addr, begun: time.Now(), exited: make(chan struct{})}
	s.http = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}, Timeout: time.Minute}
	ctx, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.cmd = exec.CommandContext(ctx, path, append([]string{"serve", "--addr", addr, "--log-level", "warn"}, args...)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = stopWait
	s.cmd.Stderr = &s.log
	// A Ctrl-C is for bench, which then stops the server: a second signal would
	// make it leave its containers behind.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w; build it with `make build`", err)
	}
	go func() { s.cmd.Wait(); close(s.exited) }()
	return s, nil
}

// stop ends the server, waits until it has destroyed its sandboxes, and shows
// what it had to say.
func (s *server) stop() error {
	s.end()
	<-s.exited
	if s.log.Len() > 0 {
		progress("the server said:\n%s", &s.log)
	}
	if !s.cmd.ProcessState.Success() {
		return fmt.Errorf("the server ended with %s", s.cmd.ProcessState)
	}
	return nil
}

// awaitReady returns how long that took from the start of the process.
func (s *server) awaitReady(ctx context.Context) (float64, error) {
	err := s.poll(ctx, func() bool { _, err := s.ask(ctx, http.MethodGet, "/readyz", nil, nil); return err == nil })
	return millis(time.Since(s.begun)), err
}

// awaitFull returns once the pool has been full and idle, and how long that took
// from the start of the process.
func (s *server) awaitFull(ctx context.Context) (float64, error) {
	err := s.poll(ctx, func() bool {
		var p struct {
			Totals struct{ Size, Warm, Launching, Destroying int }
		}
		_, err := s.ask(ctx, http.MethodGet, "/pool", nil, &p)
		return err == nil && p.Totals.Warm >= p.Totals.Size && p.Totals.Launching+p.Totals.Destroying == 0
	})
	return millis(time.Since(s.begun)), err
}

// poll asks done every few milliseconds until it says yes.
func (s *server) poll(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("the server was not ready, or its pool not full, within %s", startWait))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-s.exited:
			return errors.New("the server ended by itself")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// ask decodes the answer, which must be of status 200. 429 and 503 are
// errRefused. The time is that from the request to the answer's last byte.
func (s *server) ask(ctx context.Context, method, path string, body []byte, answer any) (took time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	took = time.Since(start)
	switch {
	case err != nil:
		return 0, err
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable:
		return 0, fmt.Errorf("%w: %s", errRefused, got)
	case resp.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("%s: %s: %s", path, resp.Status, got)
	case answer == nil:
		return took, nil
	}
	return took, json.Unmarshal(got, answer)
}

// run posts h. It returns the client's time and the server's run_ms of it.
func (s *server) run(ctx context.Context, h hello) (took, inside time.Duration, err error) {
	body, err := json.Marshal(map[string]string{"language": h.language, "code": h.code})
	if err != nil {
		return 0, 0, err
	}
	var a struct {
		Status, Stdout string
		Timing         struct {
			Run float64 `json:"run_ms"`
		}
	}
	took, err = s.ask(ctx, http.MethodPost, "/run", body, &a)
	if err == nil && (a.Status != "ok" || a.Stdout != h.prints) {
		err = fmt.Errorf("a warm run ended %s and printed %q, want %q", a.Status, a.Stdout, h.prints)
	}
	return took, time.Duration(a.Timing.Run * float64(time.Millisecond)), err
}

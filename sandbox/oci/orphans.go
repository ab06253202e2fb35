package oci

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A runtime that is told to detach leaves the container's first process behind,
// gVisor two, and crun a child that is about to end. They become children of this
// process, which must take note of their end, as init would: until then the
// kernel keeps them as zombies.

// adopt makes this process the parent of what its children leave behind.
func adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("oci: adopt processes: %w", err)
	}
	return nil
}

// undertaker buries orphans whenever a child has ended.
func (d *Driver) undertaker() {
	for range d.ended {
		buryOrphans()
	}
	buryOrphans()
}

// buryOrphans takes note of what runtimes have left and has ended; what ends
// later is for the next call. A process that something else here has started, and
// waits for, must be in the session of this process, and in the group of this
// process or in one of its own. An orphan is in a session of its own, or in the
// group of a parent that it has lost.
func buryOrphans() {
	ownSession, _ := unix.Getsid(0)
	ownGroup := unix.Getpgrp()
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
			return
		}
		// The fields that are a child's come after three numbers and a gap; waitid(2).
		pid := int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 16)))
		if pid == 0 {
			return
		}
		session, err := unix.Getsid(pid)
		if err != nil {
			return
		}
		group, err := unix.Getpgid(pid)
		if err != nil || session == ownSession && (group == pid || group == ownGroup) {
			return
		}
		unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
}

// killStrays ends what a runtime that failed or was killed has left of itself,
// which would go on making the container: the processes that are told its id,
// which nobody can guess.
func killStrays(ctx context.Context, id string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		strays, err := toldOf(id)
		if err != nil || len(strays) == 0 {
			return err
		}
		for _, pid := range strays {
			unix.Kill(pid, unix.SIGKILL)
		}
		buryOrphans()
		select {
		case <-ctx.Done():
			return fmt.Errorf("oci: processes %v of a runtime do not end: %w", strays, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// toldOf returns the processes with word in their command line.
func toldOf(word string) ([]int, error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("oci: %w", err)
	}
	var pids []int
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && bytes.Contains(line, []byte(word)) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

//go:build linux

package guest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// controlFd is the interpreter's descriptor for its warm-up code: it writes one
// byte R there when it is warm, then reads an agent.Start until the end, closes
// the descriptor and lets the program run.
const controlFd = 3

// child is the interpreter and the agent's ends of its descriptors; -1 is
// closed.
type child struct {
	pid     int
	stdin   int
	stdout  int
	stderr  int
	control int
	exited  int // a pipe: has the interpreter's exit code, one byte, when it has ended, and ends with the last process
}

// noChild is a child that has not started.
func noChild() *child { return &child{stdin: -1, stdout: -1, stderr: -1, control: -1, exited: -1} }

// start starts the interpreter with fresh pipes; control says whether it gets
// one for its warm-up code.
func start(command, env []string, control bool) (*child, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	var fds [5][2]int // stdin, stdout, stderr, control, exited
	for i := range fds {
		if i == controlFd {
			fds[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		} else {
			err = unix.Pipe2(fds[i][:], unix.O_CLOEXEC)
		}
		if err != nil {
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
	}
	in, out, errs, ctl, exited := fds[0], fds[1], fds[2], fds[controlFd], fds[4]
	for _, fd := range []int{in[1], out[0], errs[0]} {
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
	}
	theirs := []int{in[0], out[1], errs[1], ctl[1]}
	attr := &syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	for _, fd := range theirs {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	if !control {
		attr.Files = attr.Files[:controlFd]
	}
	pid, err := syscall.ForkExec(path, command, attr)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	for _, fd := range theirs {
		unix.Close(fd)
	}
	go reap(pid, exited[1])
	return &child{pid: pid, stdin: in[1], stdout: out[0], stderr: errs[0], control: ctl[0], exited: exited[0]}, nil
}

// reap waits for every process that ends, as the first process must, and tells
// of the interpreter's end on the pipe. It lasts as long as the agent.
func reap(pid, exited int) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.ECHILD {
			unix.Close(exited)
			return
		}
		if got != pid || !status.Exited() && !status.Signaled() {
			continue
		}
		code := status.ExitStatus()
		if status.Signaled() {
			code = 128 + int(status.Signal())
		}
		unix.Write(exited, []byte{byte(code)})
	}
}

// exitCode returns the interpreter's exit code once exited is readable.
func (c *child) exitCode() (int, error) {
	var b [1]byte
	if n, err := unix.Read(c.exited, b[:]); n != 1 {
		return 0, fmt.Errorf("read the exit code: %d bytes, %w", n, err)
	}
	return int(b[0]), nil
}

// endOthers kills every other process and returns when none is left.
func (c *child) endOthers() {
	for n := 0; n <= 0; {
		unix.Kill(-1, unix.SIGKILL)
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.exited)}}, 100)
	}
}

// environ returns base with variables added or replaced.
func environ(base []string, added map[string]string) []string {
	env := slices.DeleteFunc(slices.Clone(base), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, replaced := added[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(added)) {
		env = append(env, name+"="+added[name])
	}
	return env
}

// release gives the waiting warm-up code its words and lets it go.
func (c *child) release(words []byte) error {
	// It fits into the socket's buffer, so this does not block.
	_, err := unix.Write(c.control, words)
	closeFd(&c.control)
	if err != nil {
		return fmt.Errorf("release the interpreter: %w", err)
	}
	return nil
}

// preferForOOM makes the kernel's OOM killer take the interpreter and what it
// starts before the agent, so that the agent lives to tell. Best effort: where
// it fails the host learns of the kill from the engine.
func (c *child) preferForOOM() {
	os.WriteFile("/proc/"+strconv.Itoa(c.pid)+"/oom_score_adj", []byte("1000"), 0)
}

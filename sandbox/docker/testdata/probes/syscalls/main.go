// Command syscalls makes system calls, each in a process of its own, and tells
// what came back. It reads calls from standard input, one a line, as numbers
// with a space between: the call's own, then its arguments; after the word i386
// the call is one of that architecture. It writes a line for each: an errno (0
// where the call succeeded), or "signal" and its number, or "blocked".
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a call may take before it is taken to block.
const patience = 3 * time.Second

func main() {
	if len(os.Args) > 1 {
		os.Exit(call(os.Args[1:]))
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Fprintln(out, probe(strings.Fields(lines.Text())))
	}
}

func probe(words []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", words...)
	err := cmd.Run()
	if ctx.Err() != nil {
		return "blocked"
	}
	if cmd.ProcessState == nil {
		return err.Error()
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return fmt.Sprint("signal ", int(status.Signal()))
	}
	return strconv.Itoa(cmd.ProcessState.ExitCode())
}

// call makes one call and returns the errno. What a call that succeeds does to
// this process must not matter.
func call(words []string) int {
	old := words[0] == "i386"
	if old {
		words = words[1:]
	}
	var n [7]uintptr
	for i := range min(len(words), len(n)) {
		v, err := strconv.ParseUint(words[i], 0, 64)
		if err != nil {
			return 255
		}
		n[i] = uintptr(v)
	}
	if old {
		return -min(0, int(int32(i386(n[0]))))
	}
	_, _, errno := syscall.RawSyscall6(n[0], n[1], n[2], n[3], n[4], n[5], n[6])
	return int(errno)
}

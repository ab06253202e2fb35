package httpapi

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// errorSentence says for people why a run was not ok; nil when it was.
func errorSentence(res sandbox.Result, p sandbox.Program, l sandbox.Limits) *string {
	switch res.Status {
	case sandbox.OK:
		return nil
	case sandbox.Timeout:
		return new("Execution timed out after " + durationWords(p.Timeout))
	case sandbox.OutOfMemory:
		return new("Out of memory: the limit is " + sizeWords(cmp.Or(p.MemoryBytes, l.MemoryBytes)))
	case sandbox.OutputLimit:
		return new("Too much output: the limit is " + sizeWords(p.FloodBytes))
	}
	return new(exitSentence(res.ExitCode))
}

// signals are those that end a process by default, by their numbers on Linux.
var signals = map[int]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT",
	7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2",
	13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}

func exitSentence(code int) string {
	if name, ok := signals[code-128]; ok {
		return "Killed by " + name
	}
	return "Exited with code " + strconv.Itoa(code)
}

// durationWords says d in seconds, or below one second in milliseconds.
func durationWords(d time.Duration) string {
	if d < time.Second {
		return count(float64(d.Milliseconds()), "millisecond")
	}
	return count(d.Seconds(), "second")
}

func count(n float64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return strconv.FormatFloat(n, 'f', -1, 64) + " " + unit
}

// sizeWords says n in the largest unit that divides it.
func sizeWords(n int64) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

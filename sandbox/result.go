package sandbox

import (
	"bytes"
	"sync"
	"time"
)

// Status is how a program ended.
type Status string

// All that there are.
const (
	OK          Status = "ok"            // exit code 0
	Error       Status = "error"         // another exit code, or a signal of its own
	Timeout     Status = "timeout"       // ended by preheat when its time was up
	OutOfMemory Status = "out_of_memory" // ended by the kernel at the memory limit
	OutputLimit Status = "output_limit"  // ended by preheat because it printed too much
)

// Statuses are all there are, in the order in which they are documented.
var Statuses = []Status{OK, Error, Timeout, OutOfMemory, OutputLimit}

// ExitKilled is the exit code of a program that was killed from outside: 128
// and SIGKILL, as a shell reports it.
const ExitKilled = 137

// Result is the outcome of one run.
type Result struct {
	Status Status

	// ExitCode is the program's own, or 128 and the number of the signal that
	// ended it.
	ExitCode int

	// Truncated says that the program printed more than was kept.
	Truncated bool

	// Duration is the wall time from the hand-over to the end.
	Duration time.Duration

	Usage Usage

	// Files are those that the program's Collect asked for, sorted by name.
	// Only a program that ended by itself leaves any.
	Files []File

	// FilesOmitted counts those that matched, and were too many or too large.
	FilesOmitted int

	// Resized is the time it took to change the sandbox's memory limit before
	// the hand-over, which Duration does not include; zero when it was not changed.
	Resized time.Duration
}

// Usage is what the run cost. A zero field is unknown: a sandbox that was
// killed cannot tell.
type Usage struct {
	CPU         time.Duration // processor time of all the run's processes
	MemoryBytes int64         // the sandbox's peak, the warm interpreter included
}

// Output receives what the program prints, while it prints it. The calls are
// serial. They must not keep p, and should not block: the program waits.
type Output interface {
	Stdout(p []byte)
	Stderr(p []byte)
}

// Capture is an Output that keeps everything. Its methods are safe for
// concurrent use.
type Capture struct {
	mu             sync.Mutex // guards what follows
	stdout, stderr bytes.Buffer
}

// Stdout appends p to what was printed to standard output.
func (c *Capture) Stdout(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stdout.Write(p)
}

// Stderr appends p to what was printed to standard error.
func (c *Capture) Stderr(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stderr.Write(p)
}

// Strings returns what has been printed so far.
func (c *Capture) Strings() (stdout, stderr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stdout.String(), c.stderr.String()
}

package sandbox

import (
	"errors"
	"time"
)

// Language is what a driver must know to launch a sandbox of one language.
type Language struct {
	Name    string   // canonical, such as "python"
	Aliases []string // other names that clients may use
	Version string   // of the interpreter, such as "3.11.2"; for people
	Entry   string   // the file that is run, such as "main.py"

	Image   string   // the engine's name for the image
	Command []string // what the agent starts and keeps warm; the entry file is one of its words
	Env     []string // its environment, NAME=value

	// OnDemand says that Command has no warm-up code: the agent is warm without
	// it, and starts it when the program comes.
	OnDemand bool

	// Collect are patterns of files that every run returns; see [Collect].
	Collect []string

	Runtime string // OCI runtime; empty takes the engine's default
	Limits  Limits
}

// Limits bound one sandbox. All must be set.
type Limits struct {
	MemoryBytes int64         // memory and swap together
	Pids        int64         // processes and threads
	CPUs        float64       // processors, such as 0.5
	WorkBytes   int64         // size of the work folder; counts as memory
	ShmBytes    int64         // size of /dev/shm; counts as memory
	WorkFiles   int64         // files and folders in the work folder
	OpenFiles   int64         // descriptors of one process
	Warmup      time.Duration // how long a launch may take
}

// DefaultLimits suit small programs on a shared machine.
func DefaultLimits() Limits {
	return Limits{
		MemoryBytes: 128 << 20,
		Pids:        64,
		CPUs:        0.5,
		WorkBytes:   64 << 20,
		ShmBytes:    16 << 20,
		WorkFiles:   4096,
		OpenFiles:   256,
		Warmup:      30 * time.Second,
	}
}

// Validate reports the first limit that cannot work.
func (l Limits) Validate() error {
	switch {
	case l.MemoryBytes < 16<<20:
		return errors.New("the memory limit must be at least 16 MiB")
	case l.Pids < 16:
		return errors.New("the pids limit must be at least 16")
	case l.CPUs < 0.01:
		return errors.New("the CPU limit must be at least 0.01")
	case l.WorkBytes < 1<<20 || l.WorkBytes > l.MemoryBytes:
		return errors.New("the work folder's size must be at least 1 MiB and at most the memory limit")
	case l.ShmBytes < 64<<10 || l.ShmBytes > l.MemoryBytes:
		return errors.New("the size of /dev/shm must be at least 64 KiB and at most the memory limit")
	case l.WorkFiles < 16:
		return errors.New("the work folder must hold at least 16 files")
	case l.OpenFiles < 32:
		return errors.New("the open-file limit must be at least 32")
	case l.Warmup <= 0:
		return errors.New("the warm-up time must be positive")
	}
	return nil
}

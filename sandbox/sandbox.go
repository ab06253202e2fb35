// Package sandbox is the contract between the pool, which keeps sandboxes
// warm, and the drivers, which make them.
//
// Start at [Driver]. A driver launches sandboxes of a [Language]; each runs one
// [Program] and is then destroyed. The package holds value types only and
// depends on nothing but the standard library; package sandboxtest has a fake
// driver and the suite that every driver passes.
//
// How it fails: what a program does is a [Status] in a [Result], however bad;
// an error means that preheat or the engine failed and nothing is known of the
// program.
package sandbox

import (
	"context"
	"errors"
)

var (
	// ErrUsed is returned by Run on a sandbox that has already been given a
	// program, or has been destroyed.
	ErrUsed = errors.New("sandbox: already used")

	// ErrDead is returned by Run on a sandbox that ended while it was idle,
	// before it was given the program. The program has not started, so the
	// caller may try another sandbox.
	ErrDead = errors.New("sandbox: ended before it was used")

	// ErrResize is returned by Run when the engine could not give the sandbox
	// the memory limit that the program asks for. The program has not started;
	// a sandbox that is launched with that limit may do.
	ErrResize = errors.New("sandbox: the memory limit could not be changed")

	// ErrEngine marks every error that means that the engine cannot be reached
	// or does not answer.
	ErrEngine = errors.New("sandbox: the engine does not answer")
)

// Driver makes sandboxes on one engine. It is safe for concurrent use.
type Driver interface {
	// Launch makes a sandbox and returns once it is warm. When it fails, or ctx
	// ends first, it has left nothing behind.
	Launch(ctx context.Context, lang Language) (Sandbox, error)

	// Reap destroys what an earlier process of this instance left behind and
	// returns how many sandboxes that were. It must not run beside Launch.
	Reap(ctx context.Context) (int, error)

	// Check reports whether the engine answers, and what it is.
	Check(ctx context.Context) (EngineInfo, error)

	// Close ends the driver's own goroutines and connections. Sandboxes that
	// live are the caller's to destroy first.
	Close() error
}

// Sandbox is one warm container. It runs one program; after that only Destroy
// is valid. Run, Dead and Destroy may be called from different goroutines.
type Sandbox interface {
	// ID names the sandbox in logs; it is unique among those of the engine.
	ID() string

	// Run hands p over and returns when the program has ended or its time is
	// up, whichever is first. Everything the program printed by then has been
	// given to out, and nothing is after Run has returned. When ctx ends
	// earlier, Run returns its error. The first call decides: any later one is
	// ErrUsed.
	Run(ctx context.Context, p Program, out Output) (Result, error)

	// Dead is closed when the sandbox has ended, for whatever reason. A
	// sandbox that is dead while idle must not be handed out.
	Dead() <-chan struct{}

	// Destroy ends everything in the sandbox and removes it. It is idempotent,
	// and returns nil only when the engine no longer has the container.
	Destroy(ctx context.Context) error
}

// EngineInfo says what a driver found on the other side.
type EngineInfo struct {
	Name          string   // the engine's product name, such as "docker"
	Version       string   // its version, such as "20.10.24"
	APIVersion    string   // the API version negotiated with it
	CgroupVersion int      // 1 or 2
	StorageDriver string   // such as "overlay2"
	Runtimes      []string // OCI runtimes it knows by name
	Runtime       string   // the one it takes by default
	CPUs          int      // processors of the engine's machine
	MemoryBytes   int64    // memory of the engine's machine
}

// Runtime is an OCI runtime that a driver can use.
type Runtime struct {
	Name     string
	Warnings []string // sentences: what it does not hold, as it is set up
}

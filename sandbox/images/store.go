package images

import (
	"archive/tar"
	"context"
	"io"
)

// Store keeps roots and images, and runs the steps that change a root. It is
// safe for concurrent use. What it does in vain it leaves nothing of, also when
// its context has ended.
type Store interface {
	// Lock keeps other builders of the language out until it is closed, where
	// the store cannot serve two at once. It calls waiting before it waits.
	Lock(ctx context.Context, language string, waiting func()) (io.Closer, error)

	// Sweep removes what builders that were killed have left.
	Sweep(ctx context.Context) error

	// Image tells of the language's image, judged by hash. Of several it is a
	// fresh one, if there is one.
	Image(ctx context.Context, language, hash string) (Image, error)

	// Finish makes the tar that write produces the image that img describes: its
	// language, version, hash and base. Those that it replaces go.
	Finish(ctx context.Context, img Image, write func(io.Writer) error) error

	// Root returns the root called ref, or the zero Root.
	Root(ctx context.Context, ref string) (Root, error)

	// Pull fetches the registry's image ref as the root of that name. Whenever
	// the registry is heard it calls heard, with a line for people or "".
	Pull(ctx context.Context, ref string, heard func(line string)) error

	// Import makes the tar that write produces the root called ref.
	Import(ctx context.Context, ref string, write func(io.Writer) error) (Root, error)

	// RemoveOthers removes the roots of ref's repository but ref. Without a tag
	// ref is the repository, and all go.
	RemoveOthers(ctx context.Context, ref string) error

	// Run changes a root in a container of its own, lets then take the result,
	// and removes the container.
	Run(ctx context.Context, s Step, then func(context.Context, Changed) error) error
}

// Root is a base that a store has.
type Root struct {
	ID    string // what a step starts from
	Stamp string // another one for another content
}

// Step is a change of a root.
type Step struct {
	What     string // it does, for people
	Language string
	Root     string                  // Root.ID
	Network  bool                    // the machine's network; else none
	Script   string                  // for a shell, as root; what it prints is shown when it fails
	Command  []string                // what the same shell runs then; its output is the step's
	Write    func(*tar.Writer) error // writes files for the root
}

// Args are what the step's container runs.
func (s Step) Args() []string {
	return append([]string{"/bin/sh", "-ec", "{ :\n" + s.Script + "\n} >&2\nexec \"$@\"", "sh"}, s.Command...)
}

// Changed is a root after a step. Its functions are for the step's then only.
type Changed struct {
	Output string // what the step's command printed
	Export func(context.Context) (io.ReadCloser, error)
	Keep   func(ctx context.Context, ref string) (Root, error)
}

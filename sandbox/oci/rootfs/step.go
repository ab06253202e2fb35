package rootfs

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/preheat/preheat/sandbox/images"
)

const (
	stepTimeout    = 15 * time.Minute
	destroyTimeout = 30 * time.Second
	maxOutputBytes = 64 << 10 // kept of each of a step's streams, from the end
	toldLines      = 30       // of a step that failed
)

// Run implements images.Store.
func (s *Store) Run(ctx context.Context, step images.Step, then func(context.Context, images.Changed) error) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("the steps of an image need root where there is no Engine")
	}
	w, err := s.begin()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end(ctx)) }()
	root := filepath.Join(w.dir, rootfsName)
	if err := s.prepare(ctx, step, w, root); err != nil {
		return err
	}
	output, err := w.runStep(ctx, step)
	if err != nil {
		return err
	}
	return then(ctx, images.Changed{
		Output: output,
		Export: func(ctx context.Context) (io.ReadCloser, error) { return export(ctx, root), nil },
		Keep: func(ctx context.Context, ref string) (images.Root, error) {
			return s.Import(ctx, ref, func(w io.Writer) error { return pack(ctx, root, w) })
		},
	})
}

// prepare makes the step's bundle: the configuration, and its own copy of the
// root, with its files.
func (s *Store) prepare(ctx context.Context, step images.Step, w *work, root string) error {
	if err := w.configure(step, s.runtime); err != nil {
		return err
	}
	f, err := os.Open(step.Root)
	if err != nil {
		return fmt.Errorf("opening the base: %w", err)
	}
	defer f.Close()
	if err := makeDir(root); err != nil {
		return fmt.Errorf("unpacking the base: %w", err)
	}
	if _, err := unpack(ctx, root, bufio.NewReaderSize(f, 1<<20), s.bounds); err != nil {
		return err
	}
	_, err = s.unpackFrom(ctx, root, func(w io.Writer) error {
		out := tar.NewWriter(w)
		return errors.Join(step.Write(out), out.Close())
	})
	return err
}

func (w *work) configure(step images.Step, runtime string) error {
	path, err := exec.LookPath(runtime)
	if err != nil {
		return fmt.Errorf("the OCI runtime %q, which runs the steps of an image, is not there: %w", runtime, err)
	}
	config, err := json.Marshal(spec(step, w.container()))
	if err == nil {
		err = errors.Join(os.Symlink(path, w.runtime()), os.WriteFile(filepath.Join(w.dir, "config.json"), config, 0o600))
	}
	if err != nil {
		return fmt.Errorf("configuring a container: %w", err)
	}
	return nil
}

// runStep runs the container to its end, and returns what its command printed.
func (w *work) runStep(ctx context.Context, step images.Step) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("it took longer than %s", stepTimeout))
	defer cancel()
	cmd := w.command(ctx, "run", "--bundle", w.dir, w.container())
	var stdout, stderr tail
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { // without its runtime a container runs on
		if w.hasContainer() {
			return w.destroy(ctx)
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return "", fmt.Errorf("waiting for %s: %w", step.What, cause)
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(stderr)+string(stdout)), "\n")
		return "", fmt.Errorf("%s: %w:\n%s", step.What, err, strings.Join(lines[max(0, len(lines)-toldLines):], "\n"))
	}
	return string(stdout), nil
}

// destroy kills and removes the work's container, if it has one. It works on a
// cancelled context too.
func (w *work) destroy(ctx context.Context) error {
	if !w.hasContainer() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), destroyTimeout)
	defer cancel()
	out, err := w.command(ctx, "delete", "--force", w.container()).CombinedOutput()
	if err != nil && w.hasContainer() { // else the one who ran it was faster
		return fmt.Errorf("removing a container: %w: %s", err, out)
	}
	return nil
}

// state is where the runtime notes the work's container.
func (w *work) state() string { return filepath.Join(w.dir, "state") }

// runtime is the runtime of the work's container, also for a Sweep by a process
// that takes another one.
func (w *work) runtime() string { return filepath.Join(w.dir, "runtime") }

func (w *work) hasContainer() bool {
	_, err := os.Stat(filepath.Join(w.state(), w.container()))
	return err == nil
}

func (w *work) container() string { return "preheat-step-" + filepath.Base(w.dir) }

// hideUnified runs a command out of sight of a hybrid cgroup host's unified
// mount: crun refuses one that has controllers.
const hideUnified = `umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"`

// command is a call of the runtime, in a mount namespace of its own: whatever is
// mounted there goes with it.
func (w *work) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", hideUnified, "sh", w.runtime(), "--root", w.state()}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

// tail keeps the end of what is written.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	kept := append(*t, p...)
	*t = kept[max(0, len(kept)-maxOutputBytes):]
	return len(p), nil
}

// export returns the tree dir as a tar.
func export(ctx context.Context, dir string) io.ReadCloser {
	pr, pw := io.Pipe()
	p := &packed{PipeReader: pr}
	p.packing.Go(func() {
		out := bufio.NewWriterSize(pw, 1<<20)
		pw.CloseWithError(errors.Join(pack(ctx, dir, out), out.Flush()))
	})
	return p
}

// packed reads a tar while it is made.
type packed struct {
	*io.PipeReader
	packing sync.WaitGroup
}

// Close waits for the one who makes it.
func (p *packed) Close() error {
	err := p.PipeReader.Close()
	p.packing.Wait()
	return err
}

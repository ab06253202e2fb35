package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/preheat/preheat/sandbox/languages"
)

const debianTimeout = 15 * time.Minute

// mmdebstrap returns the path of the tool that makes Debian roots.
func mmdebstrap() (string, error) {
	tool, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return "", errors.New("mmdebstrap, which makes the Debian root, is not on PATH: install it with `apt-get install mmdebstrap`")
	}
	return tool, nil
}

// writeDebian runs mmdebstrap and writes its root and the package's files as
// one tar.
func writeDebian(ctx context.Context, tool string, spec languages.Debian, pkg *npmPackage, w io.Writer, say sayFunc) error {
	pr, pw := io.Pipe()
	log := &stepLog{say: say}
	cmd := exec.CommandContext(ctx, tool, debianArgs(spec, os.Geteuid() == 0)...)
	cmd.Stdout, cmd.Stderr = pw, log
	// mmdebstrap unmounts and removes its work on SIGTERM; its whole group
	// must get the signal, for it waits for its children first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second

	var wg sync.WaitGroup
	var mergeErr error
	wg.Go(func() {
		mergeErr = mergeDebian(pr, pkg, w)
		pr.CloseWithError(mergeErr)
	})
	runErr := cmd.Run()
	pw.CloseWithError(runErr)
	wg.Wait()
	if cause := context.Cause(ctx); runErr != nil && cause != nil {
		return fmt.Errorf("mmdebstrap: %w", cause)
	}
	if runErr != nil && (mergeErr == nil || errors.Is(mergeErr, errBadRoot)) {
		return fmt.Errorf("mmdebstrap: %w\n%s", runErr, strings.Join(log.last, "\n"))
	}
	return mergeErr
}

// debianArgs are mmdebstrap's: no package manager but dpkg, which the essential
// packages include, and no documentation.
func debianArgs(spec languages.Debian, root bool) []string {
	args := []string{
		"--variant=essential",
		"--format=tar",
		"--include=" + strings.Join(append([]string{"usr-is-merged"}, spec.Packages...), ","),
		"--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", // else usrmerge brings the whole of Perl
		`--aptopt=Acquire::Languages "none"`,
	}
	for _, dir := range []string{"doc", "man", "locale", "info"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+dir+"/*")
	}
	if root {
		args = append(args, "--mode=root")
	}
	return append(args, spec.Suite, "-")
}

// stepLog takes mmdebstrap's log, reports its steps and keeps the last lines.
type stepLog struct {
	say     sayFunc
	partial []byte
	last    []string
}

// Write takes the next piece of the log. A line may come in several pieces.
func (l *stepLog) Write(p []byte) (int, error) {
	l.partial = append(l.partial, p...)
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.partial = rest
		if step, ok := strings.CutPrefix(string(line), "I: "); ok && strings.HasSuffix(step, "...") {
			l.say("mmdebstrap: %s", step)
		}
		l.last = append(l.last, string(line))
		l.last = l.last[max(0, len(l.last)-20):]
	}
}

// errBadRoot marks a tar of mmdebstrap's that cannot be read, most likely
// because mmdebstrap failed.
var errBadRoot = errors.New("reading the Debian root")

// mergeDebian copies the root's tar, without its devices, and adds the package's
// files.
func mergeDebian(root io.Reader, pkg *npmPackage, w io.Writer) error {
	out := tar.NewWriter(w)
	in := tar.NewReader(io.LimitReader(root, MaxRootBytes))
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBadRoot, err)
		}
		if path.Dir(path.Clean(h.Name)) == "dev" {
			continue
		}
		if err := copyEntry(out, h, in); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, root); err != nil { // the padding, or mmdebstrap waits
		return fmt.Errorf("%w: %w", errBadRoot, err)
	}
	if pkg != nil {
		if err := pkg.writeTo(out); err != nil {
			return err
		}
	}
	return out.Close()
}

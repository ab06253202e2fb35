package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

// traceTimeout bounds one program under strace, which slows it several times.
const traceTimeout = 3 * time.Minute

// straced is the first process of a container in which a program is traced:
// $1 is the trace's name. strace is the host's own, on the host's libraries.
// Addresses and flags are printed as numbers, which is what rules compare.
const straced = `
cp -r /in/. /work && cd /work || exit 125
trace=/out/$1
shift
exec /host/usr/lib64/ld-linux-* --library-path "$(echo /host/usr/lib/*-linux-gnu)" \
	/host/usr/bin/strace -f -qq -e raw=all -e signal=none -o "$trace" -- env "$@"`

// job is one program to trace.
type job struct {
	language string   // names the image
	name     string   // of the trace
	files    string   // a folder that is laid into the work folder
	words    []string // NAME=value …, then the command
	stdin    []byte
	mounts   []string // more of the host, as docker's -v has it
}

// corpus returns a job for every program of a folder that has a folder for each
// language. Beside an entry file may be an archive of the same name, with the
// sections args, env and stdin; see the fidelity test of sandbox/oci.
func corpus(folder, scratch string) ([]job, error) {
	var jobs []job
	for _, l := range []struct{ name, entry, command string }{
		{"python", "main.py", "python3 -u main.py"},
		{"node", "main.js", "node main.js"},
	} {
		found, err := filepath.Glob(filepath.Join(folder, l.name, "*"+filepath.Ext(l.entry)))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
			j := job{language: l.name, name: l.name + "-" + base, words: strings.Fields(l.command)}
			j.files = filepath.Join(scratch, j.name)
			if err := j.unpack(path, l.entry); err != nil {
				return nil, err
			}
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// unpack lays the program's files down and takes its words and input.
func (j *job) unpack(path, entry string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(j.files, entry), source); err != nil {
		return err
	}
	archive, err := txtar.ParseFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".txtar")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range archive.Files {
		words := strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
		switch f.Name {
		case "args":
			j.words = append(j.words, words...)
		case "env":
			j.words = append(words, j.words...)
		case "stdin":
			j.stdin = f.Data
		default:
			if err := write(filepath.Join(j.files, f.Name), f.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// cpython returns a job for each of CPython's own test modules named. suite is
// the folder that holds Python's package test, as Debian's
// libpython3-testsuite has it.
func cpython(suite, scratch string, modules []string) []job {
	var jobs []job
	for _, m := range modules {
		jobs = append(jobs, job{
			language: "python", name: "cpython-" + m, files: scratch,
			words:  []string{"python3", "-m", "test", "-v", m},
			mounts: []string{suite + ":/usr/lib/python3.11/test:ro"},
		})
	}
	return jobs
}

// run traces j in a container without a filter and else much like a sandbox,
// and leaves the trace in folder. How the program ends does not matter.
func (j job) run(ctx context.Context, folder string) error {
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()
	name := fmt.Sprintf("preheat-trace-%d-%s", os.Getpid(), j.name)
	args := []string{
		"run", "--rm", "-i", "--name", name, "--network=none", "--read-only", "--user=10001:10001",
		"--cap-drop=ALL", "--security-opt=no-new-privileges", "--security-opt=seccomp=unconfined",
		"--pids-limit=256", "--memory=1g", "--shm-size=16m", "--ulimit=core=0", "--workdir=/work",
		"--tmpfs=/work:exec,mode=0700,uid=10001,gid=10001", "--env=HOME=/work", "--env=TMPDIR=/work", "--env=LANG=C.UTF-8",
		"-v", "/usr:/host/usr:ro", "-v", j.files + ":/in:ro", "-v", folder + ":/out", "--entrypoint=/bin/sh",
	}
	for _, m := range j.mounts {
		args = append(args, "-v", m)
	}
	args = append(args, "preheat-"+j.language+":latest", "-c", straced, "sh", j.name+".strace")
	cmd := exec.CommandContext(ctx, "docker", append(args, j.words...)...)
	cmd.Cancel = func() error {
		return exec.CommandContext(context.WithoutCancel(ctx), "docker", "rm", "-f", name).Run()
	}
	cmd.Stdin = bytes.NewReader(j.stdin)
	said, err := cmd.CombinedOutput()
	trace := filepath.Join(folder, j.name+".strace")
	if info, statErr := os.Stat(trace); statErr != nil || info.Size() == 0 {
		return fmt.Errorf("%s left no trace: %w\n%s", j.name, err, said)
	}
	return write(filepath.Join(folder, j.name+".output"), said)
}

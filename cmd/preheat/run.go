package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/languages"
)

// runsNote is the annotation of the command that ends as the program does.
const runsNote = "preheat_runs"

// Exit codes of preheat run beside the program's own.
const (
	exitTimeout     = 124 // as timeout(1)
	exitFailure     = 125 // as docker run
	exitInterrupted = 130 // as a shell reports SIGINT
	exitNobodyReads = 141 // and SIGPIPE
)

const runExits = `  0-255  the program's own; 128 and the number of a signal that ended it
  124    its time was up
  125    preheat failed, or does not understand what is asked; a sentence on stderr says why
  130    preheat was interrupted
  137    the program was ended: it had no memory left, or printed too much
  141    nobody reads the output any more`

const runEnvironment = environment + `
  PREHEAT_KEY    the server's key`

// endedError ends preheat with an exit code; all has been said.
type endedError struct{ code int }

func (e endedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// errNobodyReads ends a run whose output cannot be written.
var errNobodyReads = errors.New("the output cannot be written")

// runOptions are the flags of run that serve does not have.
type runOptions struct {
	language    string
	files       []string
	env         []string
	collect     []string
	output      string
	outputBytes int64
	server      string
	keyFile     string
}

// job is what is to be run. A limit in its program that is zero is not asked for.
type job struct {
	language string
	program  sandbox.Program
}

// outcome is how a job ended, wherever it ran.
type outcome struct {
	result   sandbox.Result
	sentence string // for people, where preheat ended the program
}

func newRun() *cobra.Command {
	o, r := defaultOptions(), &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [flags] FILE [ARG ...]",
		Short: "Run one program, here or on a server",
		Long: `Runs a program in a sandbox of its own and ends as it does: its output comes while
it is printed, and its exit code is preheat's. FILE is laid into the work folder
under its own name; - reads the program from standard input. What follows FILE is
the program's.

Standard input is passed on, read to its end first, unless it is a terminal. The
language is the one that has FILE's suffix.

Without --server the sandbox is launched by this process, as --driver says, and its
image is made if it is missing. With it, a server runs the program within its
own limits, its text is UTF-8, and of the sandbox only --timeout and --memory are asked for.`,
		Example: `  preheat run hello.py
  preheat run sum.py 1 2 < numbers.txt
  echo 'console.log(6 * 7)' | preheat run --language node -
  preheat run --file data=./data --collect '*.png' --output plots plot.py
  PREHEAT_SERVER=http://127.0.0.1:5000 preheat run --timeout 2s hello.js`,
		Args:        usageArgs(cobra.MinimumNArgs(1)),
		Annotations: map[string]string{runsNote: "yes", exitNote: runExits, environmentNote: runEnvironment},
		RunE:        func(cmd *cobra.Command, args []string) error { return runProgram(cmd, o, r, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows FILE is not ours
	about(f, "Program (on the command line only)", r.programFlags)
	about(f, "Server", r.serverFlags)
	o.share(f, "timeout", "memory", "cpus", "pids", "driver", "runtime", "data", "flood-bytes", "collect-files", "collect-bytes", "language-folders")
	for name, usage := range map[string]string{
		"timeout": "wall time of the run; with --server, the server's unless it is given",
		"memory":  "memory and swap of the sandbox; with --server likewise",
	} {
		f.Lookup(name).Usage = usage
	}
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Annotations[inFileNote] != nil {
			note(flag, subjectNote, "Sandbox")
		}
	})
	completeFlags(cmd, o)
	return cmd
}

func (r *runOptions) programFlags(f *pflag.FlagSet) {
	f.StringVarP(&r.language, "language", "l", "", "the program's language, by name or alias (default: by FILE's suffix)")
	f.StringArrayVar(&r.files, "file", nil, "another file or folder for the work folder, as `NAME[=PATH]`; repeatable")
	f.StringArrayVarP(&r.env, "env", "e", nil, "a variable for the program, as `NAME=value`, or NAME to pass on; repeatable")
	f.StringArrayVar(&r.collect, "collect", nil, "`pattern` of files to return, such as 'out/**'; repeatable; needs --output")
	f.StringVarP(&r.output, "output", "o", "", "`folder` for the files that the program returns")
	sizeVar(f, &r.outputBytes, "output-bytes", "kept of each of stdout and stderr (default: all; with --server: the server's)")
	hereOnly(f)
}

func (r *runOptions) serverFlags(f *pflag.FlagSet) {
	f.StringVar(&r.server, "server", "", "`URL` of the server to run it on (default: here)")
	f.StringVar(&r.keyFile, "key-file", "", "`file` with the server's key; without it PREHEAT_KEY may hold one")
}

func runProgram(cmd *cobra.Command, o *options, r *runOptions, args []string) error {
	// A write to a pipe that nobody reads must not end us with the sandbox alive.
	signal.Ignore(syscall.SIGPIPE)
	if len(r.collect) > 0 && r.output == "" {
		return usageError{errors.New("--collect needs --output, the folder for the files")}
	}
	if _, err := o.sandboxLimits(); err != nil {
		return usageError{err}
	}
	if o.timeout < time.Millisecond {
		return usageError{errors.New("--timeout must be a millisecond or more")}
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	j, err := r.job(ctx, cmd, o, args)
	if err != nil {
		return interrupted(ctx, err)
	}
	out := &printer{stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), stop: cancel}
	var done outcome
	if r.server != "" {
		done, err = r.runThere(ctx, j, out)
	} else {
		done, err = o.runHere(ctx, j, out, cmd.ErrOrStderr())
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	return r.conclude(cmd.ErrOrStderr(), done)
}

// interrupted is err, unless that is there only because ctx ended.
func interrupted(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errLeft):
		return err
	case errors.Is(context.Cause(ctx), errNobodyReads):
		return endedError{exitNobodyReads}
	case ctx.Err() != nil:
		return endedError{exitInterrupted}
	}
	return err
}

// job makes one of the command line and of what it names.
func (r *runOptions) job(ctx context.Context, cmd *cobra.Command, o *options, args []string) (job, error) {
	folder, err := r.folder(o, args[0])
	if err != nil {
		return job{}, err
	}
	env, err := environ(r.env, os.LookupEnv)
	if err != nil {
		return job{}, usageError{err}
	}
	j := job{language: folder.Manifest.Name, program: sandbox.Program{
		Entry:       filepath.Base(args[0]),
		Args:        args[1:],
		Env:         env,
		OutputBytes: int(r.outputBytes),
		Collect:     sandbox.Collect{Patterns: r.collect},
	}}
	if r.output != "" { // the language may collect files without being asked
		j.program.Collect.MaxFiles, j.program.Collect.MaxBytes = o.collectFiles, o.collectBytes
	}
	if cmd.Flags().Changed("timeout") || r.server == "" {
		j.program.Timeout = o.timeout
	}
	if cmd.Flags().Changed("memory") {
		j.program.MemoryBytes = o.limits.MemoryBytes
	}
	if args[0] == "-" {
		j.program.Entry = folder.Manifest.Entry
	}
	if err := j.read(ctx, args[0], r.files); err != nil {
		return job{}, err
	}
	return j, nil
}

// folder is that of the program's language. One that only the server knows has
// no more than a name.
func (r *runOptions) folder(o *options, file string) (languages.Folder, error) {
	all, err := selectFolders(o.languageFolders, nil)
	if err != nil {
		return languages.Folder{}, err
	}
	i := slices.IndexFunc(all, func(f languages.Folder) bool {
		m := f.Manifest
		if r.language == "" {
			return slices.ContainsFunc(m.Suffixes, func(s string) bool { return strings.HasSuffix(file, s) })
		}
		return m.Name == r.language || slices.Contains(m.Aliases, r.language)
	})
	switch {
	case i >= 0:
		return all[i], nil
	case r.language != "" && r.server != "" && file != "-":
		return languages.Folder{Manifest: languages.Manifest{Name: r.language}}, nil
	case r.language != "":
		return languages.Folder{}, usageError{fmt.Errorf("unknown language %q; there are %s", r.language, strings.Join(folderNames(all), ", "))}
	case file == "-":
		return languages.Folder{}, usageError{errors.New("the program comes from standard input: say in which --language")}
	}
	return languages.Folder{}, usageError{fmt.Errorf("no language has the suffix of %s; say which with --language, of %s", file, strings.Join(folderNames(all), ", "))}
}

// environ gives words their value where they are names of variables to pass on.
func environ(words []string, lookup func(string) (string, bool)) ([]string, error) {
	env := slices.Clone(words)
	for i, word := range env {
		if strings.Contains(word, "=") {
			continue
		}
		value, ok := lookup(word)
		if !ok {
			return nil, fmt.Errorf("--env %s: the environment has no such variable", word)
		}
		env[i] = word + "=" + value
	}
	return env, nil
}

// conclude says what there is to say of a program that ran, keeps its files, and
// ends as it did.
func (r *runOptions) conclude(stderr io.Writer, done outcome) error {
	res := done.result
	if done.sentence != "" && res.Status != sandbox.Error {
		fmt.Fprintln(stderr, "preheat:", done.sentence)
	}
	if res.Truncated && res.Status != sandbox.OutputLimit {
		fmt.Fprintln(stderr, "preheat: the program printed more than is kept; --output-bytes asks for more")
	}
	if n := len(res.Files); n > 0 && r.output == "" {
		fmt.Fprintf(stderr, "preheat: the program returned %d files; --output keeps them\n", n)
	}
	if res.FilesOmitted > 0 {
		fmt.Fprintf(stderr, "preheat: %d files were not returned: too many, or too large\n", res.FilesOmitted)
	}
	if r.output != "" {
		if err := keep(r.output, res.Files); err != nil {
			return err
		}
	}
	if code := exitCode(res); code != 0 {
		return endedError{code}
	}
	return nil
}

// exitCode is what preheat ends with after a program that ended so.
func exitCode(res sandbox.Result) int {
	switch {
	case res.Status == sandbox.Timeout:
		return exitTimeout
	case res.Status != sandbox.OK && res.ExitCode == 0:
		return sandbox.ExitKilled // never success for one that had none
	}
	return res.ExitCode
}

// printer prints what a program prints.
type printer struct {
	stdout, stderr io.Writer
	stop           context.CancelCauseFunc
}

func (p *printer) Stdout(b []byte) { p.print(p.stdout, b) }
func (p *printer) Stderr(b []byte) { p.print(p.stderr, b) }

func (p *printer) print(w io.Writer, b []byte) {
	if _, err := w.Write(b); err != nil {
		p.stop(errNobodyReads)
	}
}

package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/oci/ocitest"
)

// corpus has a folder of programs for each language, and DIFFERENCES.md, which
// lists those that are known to differ.
const corpus = "testdata/fidelity"

// fidelityTimeout bounds one run, warm or cold; a program takes well under a
// second.
const fidelityTimeout = 30 * time.Second

// maxDiff bounds what is printed of a difference, in bytes.
const maxDiff = 4 << 10

// TestAProgramRunsWarmAsItRunsCold runs every program of the corpus by a fresh
// interpreter in a container of the same profile that knows nothing of preheat,
// and in warm sandboxes: one as soon as it is there, while its interpreter still
// loads what programs commonly use, and one that has become idle. What can be
// seen from outside must be equal.
func TestAProgramRunsWarmAsItRunsCold(t *testing.T) {
	driver := newDriver(t)
	known := knownDifferences(t)
	for _, name := range []string{"python", "node"} {
		lang := ocitest.Language(t, name)
		// Room for programs that start more interpreters: limits are not what
		// is compared.
		lang.Limits.MemoryBytes, lang.Limits.CPUs = 256<<20, 2
		for _, path := range programs(t, lang) {
			name := lang.Name + "/" + filepath.Base(path)
			differs := slices.Contains(known, name)
			known = slices.DeleteFunc(known, func(k string) bool { return k == name })
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				compareRuns(t, driver, lang, readProgram(t, lang, path), differs)
			})
		}
	}
	if len(known) > 0 {
		t.Errorf("DIFFERENCES.md names programs that are not there: %v", known)
	}
}

// compareRuns fails the test if a warm run differs from the cold one though none
// is known to, or none does though one is known to.
func compareRuns(t *testing.T, d *Driver, lang sandbox.Language, p sandbox.Program, differs bool) {
	idle := launch(t, d, lang)
	cold := normalise(runCold(t, d, lang, p))
	warm := map[string]outcome{}
	if lang.Name == "python" && hasteMatters(t.Name()) {
		warm["at once"] = normalise(runWarm(t, launch(t, d, lang), p))
	}
	awaitIdle(t, idle)
	warm["when idle"] = normalise(runWarm(t, idle, p))
	equal := true
	for state, outcome := range warm {
		diff := cmp.Diff(cold, outcome)
		if len(diff) > maxDiff {
			diff = diff[:maxDiff] + "\n…"
		}
		equal = equal && diff == ""
		if !differs && diff != "" {
			t.Errorf("warm %s (+) is not as cold (-):\n%s", state, diff)
		}
	}
	if differs && equal {
		t.Error("warm is as cold; take the program out of DIFFERENCES.md")
	}
}

// hasteMatters reports whether a program of Python's may feel that the warm-up
// was cut short: one that looks at modules, or at how the interpreter ends.
func hasteMatters(name string) bool {
	if strings.HasSuffix(name, "/del_of_object_stored_in_stdlib.py") {
		return false // see DIFFERENCES.md
	}
	return slices.ContainsFunc([]string{"atexit", "del", "gc", "import", "main", "sys", "thread", "weakref"}, func(prefix string) bool {
		return strings.HasPrefix(path.Base(name), prefix)
	})
}

// stillFor is how long a sandbox that is idle uses no processor time.
const stillFor = 50 * time.Millisecond

// awaitIdle returns when the sandbox uses no processor time, and how much it has
// used.
func awaitIdle(t *testing.T, s *Sandbox) time.Duration {
	t.Helper()
	still := time.NewTicker(stillFor)
	defer still.Stop()
	for before := time.Duration(0); ; {
		used := s.cgroup.usage().CPU
		if used == before {
			return used
		}
		before = used
		select {
		case <-still.C:
		case <-t.Context().Done():
			t.Fatal("it is never idle")
		}
	}
}

func TestARunIsNotChargedForTheWarmUp(t *testing.T) {
	d := newDriver(t)
	lang := ocitest.Language(t, "python")
	s := launch(t, d, lang)
	warmUp := awaitIdle(t, s)
	res, err := s.Run(t.Context(), program(lang, "print(2 + 2)"), new(sandbox.Capture))
	if err != nil || res.Usage.CPU == 0 || res.Usage.CPU > warmUp/2 {
		t.Errorf("%+v, %v after a warm-up of %v", res, err, warmUp)
	}
}

// programs returns the paths of a language's programs.
func programs(t *testing.T, lang sandbox.Language) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(corpus, lang.Name, "*"+filepath.Ext(lang.Entry)))
	if err != nil || len(found) == 0 {
		t.Fatalf("no programs for %s: %v", lang.Name, err)
	}
	return found
}

// readProgram reads an entry file and, where there is an archive of the same
// name, what the program is given: the sections args and env, a word a line,
// stdin, and entry, which names another file to run; every other section is a
// file beside the entry file.
func readProgram(t *testing.T, lang sandbox.Language, path string) sandbox.Program {
	t.Helper()
	entry, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := sandbox.Program{
		Files:       []sandbox.File{{Name: lang.Entry, Content: entry}},
		Timeout:     fidelityTimeout,
		OutputBytes: 4 << 20,
	}
	archive, err := txtar.ParseFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".txtar")
	if os.IsNotExist(err) {
		return p
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		words := strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
		switch f.Name {
		case "args":
			p.Args = words
		case "env":
			p.Env = words
		case "stdin":
			p.Stdin = f.Data
		case "entry":
			p.Entry = words[0]
		default:
			p.Files = append(p.Files, sandbox.File{Name: f.Name, Content: f.Data})
		}
	}
	return p
}

var listedProgram = regexp.MustCompile("(?m)^- `([^`]+)`: ")

// knownDifferences returns the programs that DIFFERENCES.md lists.
func knownDifferences(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, "DIFFERENCES.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range listedProgram.FindAllSubmatch(text, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// outcome is what can be seen of a run from outside.
type outcome struct {
	ExitCode       int
	Stdout, Stderr string
}

// mustDiffer are what no two runs share: object addresses, and the process ids
// and addresses that Node puts before its warnings and last words.
var mustDiffer = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b0x[0-9a-f]{6,16}\b`), "0xADDRESS"},
	{regexp.MustCompile(`\(node:\d+\)`), "(node:PID)"},
	{regexp.MustCompile(`(?m)^\[\d+:0xADDRESS\]`), "[PID:0xADDRESS]"},
}

// normalise replaces what no two runs share.
func normalise(o outcome) outcome {
	for _, m := range mustDiffer {
		o.Stdout = m.what.ReplaceAllString(o.Stdout, m.by)
		o.Stderr = m.what.ReplaceAllString(o.Stderr, m.by)
	}
	return o
}

func runWarm(t *testing.T, s *Sandbox, p sandbox.Program) outcome {
	t.Helper()
	var out sandbox.Capture
	res, err := s.Run(t.Context(), p, &out)
	stdout, stderr := out.Strings()
	if err != nil || res.Status == sandbox.Timeout {
		t.Fatalf("warm: %+v, %v\n%s\n%s", res, err, stdout, stderr)
	}
	return outcome{res.ExitCode, stdout, stderr}
}

// coldStart is the first process of a cold container. It lays the files down
// and runs the command in a session of its own, as the agent does; a first
// process of its own is there because the kernel keeps it from most signals.
// What it has to say of the command's end is not the command's output.
const coldStart = `
printf %s "$1" | base64 -d | tar -x -m -f - || exit 125
shift
unset PWD OLDPWD
exec 3>&2 2>/dev/null
(exec setsid env "$@" 2>&3 3>&-)
exit $?`

func runCold(t *testing.T, d *Driver, lang sandbox.Language, p sandbox.Program) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fidelityTimeout)
	defer cancel()
	lang.Env = nil // it is for the warm-up only
	runtime, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	s := d.newSandbox(lang, runtime)
	spec, err := s.spec()
	if err != nil {
		t.Fatal(err)
	}
	command := slices.Clone(lang.Command)
	if p.Entry != "" {
		command[slices.Index(command, lang.Entry)] = p.Entry
	}
	spec.Process.Args = slices.Concat([]string{"/bin/sh", "-c", coldStart, "sh", archived(t, p.Files)}, p.Env, command, p.Args)
	defer func() {
		if err := s.Destroy(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if err := s.writeBundle(spec); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := s.command(ctx, "run", "--bundle", s.folder, s.id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.Stdin), &stdout, &stderr
	if err := d.starter.start(cmd); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended || ctx.Err() != nil {
		t.Fatalf("cold: %v; so far %q, %q", err, stdout.String(), stderr.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// archived returns the files as a tar archive in base64.
func archived(t *testing.T, files []sandbox.File) string {
	t.Helper()
	var text bytes.Buffer
	encoder := base64.NewEncoder(base64.StdEncoding, &text)
	w := tar.NewWriter(encoder)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.Name, Size: int64(len(f.Content)), Mode: 0o666}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, encoder} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// TestWhatMustDifferIsAllThatIsReplaced keeps normalise small.
func TestWhatMustDifferIsAllThatIsReplaced(t *testing.T) {
	got := normalise(outcome{
		ExitCode: 1,
		Stdout:   "<A object at 0x7f0a1b2c3d4e> 0xff 12345 0x\n",
		Stderr:   "(node:12) Warning: (node: 12)\n[12:0x3a2b1c0d]  1 ms\n",
	})
	want := outcome{
		ExitCode: 1,
		Stdout:   "<A object at 0xADDRESS> 0xff 12345 0x\n",
		Stderr:   "(node:PID) Warning: (node: 12)\n[PID:0xADDRESS]  1 ms\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// corpus has a folder of programs for each language, and DIFFERENCES.md, which
// lists those that are known to differ.
const corpus = "testdata/fidelity"

// fidelityTimeout bounds one run, warm or cold; a program takes well under a
// second.
const fidelityTimeout = 30 * time.Second

// maxDiff bounds what is printed of a difference, in bytes.
const maxDiff = 4 << 10

// TestAProgramRunsWarmAsItRunsCold runs every program of the corpus twice: in a
// warm sandbox, and by a fresh interpreter in a container of the same profile
// that knows nothing of preheat. What can be seen from outside must be equal.
func TestAProgramRunsWarmAsItRunsCold(t *testing.T) {
	driver, cli := newDriver(t)
	known := knownDifferences(t)
	for _, name := range []string{"python", "node"} {
		lang := enginetest.Language(t, cli, name)
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

func compareRuns(t *testing.T, d *Driver, lang sandbox.Language, p sandbox.Program, differs bool) {
	cold := normalise(runCold(t, d, lang, p))
	warm := normalise(runWarm(t, d, lang, p))
	diff := cmp.Diff(cold, warm)
	if len(diff) > maxDiff {
		diff = diff[:maxDiff] + "\n…"
	}
	switch {
	case differs && diff == "":
		t.Error("warm is as cold; take the program out of DIFFERENCES.md")
	case !differs && diff != "":
		t.Errorf("warm (+) is not as cold (-):\n%s", diff)
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

func runWarm(t *testing.T, d *Driver, lang sandbox.Language, p sandbox.Program) outcome {
	t.Helper()
	s, err := d.Launch(t.Context(), lang)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
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
	config, host := profile(lang, d.cfg.Instance, d.nextUID())
	config.Entrypoint = []string{"/bin/sh", "-c", coldStart, "sh"}
	command := slices.Clone(lang.Command)
	if p.Entry != "" {
		command[slices.Index(command, lang.Entry)] = p.Entry
	}
	config.Cmd = slices.Concat([]string{archived(t, p.Files)}, p.Env, command, p.Args)
	created, err := d.api.ContainerCreate(ctx, config, host, nil, nil, containerName("cold-"+lang.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.remove(context.WithoutCancel(ctx), created.ID); err != nil {
			t.Error(err)
		}
	}()
	o, err := d.watchCold(ctx, created.ID, p.Stdin)
	if err != nil {
		t.Fatalf("cold: %v; so far %+v", err, o)
	}
	return o
}

// watchCold starts the container, gives it its input and returns its outcome.
// The input must fit into a pipe.
func (d *Driver) watchCold(ctx context.Context, id string, stdin []byte) (o outcome, err error) {
	attached, err := d.api.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return o, err
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	ended, failed := d.api.ContainerWait(ctx, id, container.WaitConditionNextExit)
	if err := d.api.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return o, err
	}
	if _, err := attached.Conn.Write(stdin); err != nil {
		return o, err
	}
	if err := attached.CloseWrite(); err != nil {
		return o, err
	}
	var stdout, stderr bytes.Buffer
	_, err = stdcopy.StdCopy(&stdout, &stderr, attached.Reader)
	o.Stdout, o.Stderr = stdout.String(), stderr.String()
	if err != nil {
		return o, err
	}
	select {
	case end := <-ended:
		o.ExitCode = int(end.StatusCode)
		return o, nil
	case err := <-failed:
		return o, err
	}
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

//go:build linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

// The test binary is also the agent, so that it runs as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("GUEST_TEST_AGENT") != "" {
		os.Unsetenv("GUEST_TEST_AGENT")
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// shell is an interpreter with a warm-up: sh, which runs main.sh when it is let
// go.
var shell = []string{"sh", "-c", "printf R >&3; cat <&3 >header; exec 3>&-; . ./main.sh"}

type process struct {
	io.Reader
	io.WriteCloser
	cmd    *exec.Cmd
	stderr bytes.Buffer
	wait   func() error
}

func startAgent(t *testing.T, command ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], command...)}
	p.wait = sync.OnceValue(p.cmd.Wait)
	p.cmd.Dir = t.TempDir()
	// The race detector makes a process sleep for a second when it exits.
	p.cmd.Env = append(os.Environ(), "GUEST_TEST_AGENT=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	var err error
	if p.WriteCloser, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.Reader, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if err := p.wait(); err != nil && !t.Failed() && p.cmd.ProcessState.ExitCode() > 2 {
			t.Errorf("the agent: %v, %s", err, p.stderr.String())
		}
	})
	return p
}

// runScript runs a shell script under a new agent.
func runScript(t *testing.T, p sandbox.Program, script string) (sandbox.Result, string, string) {
	t.Helper()
	return runIn(t, sandbox.Language{Command: shell}, p, script)
}

// words are what an agent for lang is started with.
func words(lang sandbox.Language) []string {
	if lang.OnDemand {
		return append([]string{agent.OnDemand}, lang.Command...)
	}
	return lang.Command
}

func runIn(t *testing.T, lang sandbox.Language, p sandbox.Program, script string) (sandbox.Result, string, string) {
	t.Helper()
	c, err := agent.Handshake(t.Context(), lang, "token", startAgent(t, words(lang)...))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.Files = append(p.Files, sandbox.File{Name: "main.sh", Content: []byte(script)})
	p.Timeout = 20 * time.Second
	if p.OutputBytes == 0 {
		p.OutputBytes = 1 << 20
	}
	var out sandbox.Capture
	res, err := c.Run(t.Context(), p, &out)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := out.Strings()
	return res, stdout, stderr
}

func TestAgentRunsAProgram(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 30000)
	for name, test := range map[string]struct {
		program        sandbox.Program
		script         string
		code           int
		stdout, stderr string
	}{
		"output":                  {sandbox.Program{}, "echo out; echo err >&2", 0, "out\n", "err\n"},
		"exit code":               {sandbox.Program{}, "exit 7", 7, "", ""},
		"signal":                  {sandbox.Program{}, "kill -9 $$", 137, "", ""},
		"input longer than pipes": {sandbox.Program{Stdin: big}, "cat | wc -c | tr -d ' '", 0, "300000\n", ""},
		"input never read":        {sandbox.Program{Stdin: big}, "echo done", 0, "done\n", ""},
		"input closed":            {sandbox.Program{Stdin: big}, "exec 0<&-; sleep 0.1; echo done", 0, "done\n", ""},
		"no input":                {sandbox.Program{}, "cat; echo end", 0, "end\n", ""},
		"long output":             {sandbox.Program{Stdin: big}, "cat", 0, string(big), ""},
		"a large file in folders": {sandbox.Program{Files: []sandbox.File{{Name: "a/b/c", Content: big}}}, "cat a/b/c", 0, string(big), ""},
		"a child left behind":     {sandbox.Program{}, "(sleep 30; echo late) & echo done", 0, "done\n", ""},
		"descriptors":             {sandbox.Program{}, "exec ls /proc/self/fd", 0, "0\n1\n2\n3\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			res, stdout, stderr := runScript(t, test.program, test.script)
			if res.ExitCode != test.code || stdout != test.stdout || stderr != test.stderr {
				t.Errorf("exit code %d, %d bytes of stdout %.300q, stderr %q; want %d, %d, %q", res.ExitCode, len(stdout), stdout, stderr, test.code, len(test.stdout), test.stderr)
			}
		})
	}
}

func TestAgentTellsTheWarmUpWhatItNeedsAndNoMore(t *testing.T) {
	p := sandbox.Program{Args: []string{"a b"}, Env: []string{"X=y"}, Entry: "main.sh", MemoryBytes: 1 << 20}
	_, stdout, stderr := runScript(t, p, "cat header")
	if want := `{"args":["a b"],"env":{"X":"y"},"entry":"main.sh","memory_bytes":1048576}`; stdout != want {
		t.Errorf("it was told %s, want %s; %s", stdout, want, stderr)
	}
}

func TestAgentStartsTheCommandOnDemand(t *testing.T) {
	t.Setenv("KEPT", "kept")
	t.Setenv("CHANGED", "before")
	lang := sandbox.Language{Command: []string{"sh", "main.sh"}, Entry: "main.sh", OnDemand: true}
	const show = `echo "$0" "$@" $KEPT $CHANGED $NEW; cat; env | grep -c ^CHANGED; ls /proc/$$/fd`
	p := sandbox.Program{Args: []string{"a b", "c"}, Env: []string{"NEW=new", "CHANGED=after"}, Stdin: []byte("in\n")}
	res, stdout, stderr := runIn(t, lang, p, show)
	if want := "main.sh a b c kept after new\nin\n1\n0\n1\n10\n2\n"; res.Status != sandbox.OK || stdout != want {
		t.Errorf("%+v, printed %q, want %q; %s", res, stdout, want, stderr)
	}
	p.Files, p.Entry = []sandbox.File{{Name: "src/other.sh", Content: []byte("echo $0 $1; exit 3")}}, "src/other.sh"
	res, stdout, stderr = runIn(t, lang, p, "echo wrong")
	if want := "src/other.sh a b\n"; res.ExitCode != 3 || stdout != want {
		t.Errorf("%+v, printed %q, want %q; %s", res, stdout, want, stderr)
	}
	res, stdout, _ = runIn(t, lang, sandbox.Program{OutputBytes: 10, FloodBytes: 1 << 20}, "exec yes")
	if res.Status != sandbox.OutputLimit || len(stdout) != 10 {
		t.Errorf("a flood: %+v, kept %d bytes", res, len(stdout))
	}
}

// untidy leaves files of every kind behind.
const untidy = `
mkdir -p out/deep bad\\name
printf beta >out/b.txt; printf alpha >out/a.txt; printf gamma >out/deep/c.txt; : >out/empty.txt
ln -s a.txt out/link.txt; ln -s /etc out/etc; mkfifo out/pipe.txt
printf x >'out/back\\slash.txt'; printf x >'bad\\name/d.txt'; printf x >"out/$(printf '\001').txt"
truncate -s 64M out/sparse.txt; printf x >out/other.png`

func TestAgentSendsTheFilesThatMatch(t *testing.T) {
	contents := func(res sandbox.Result) (list []string) {
		for _, f := range res.Files {
			list = append(list, f.Name+"="+string(f.Content))
		}
		return list
	}
	for name, test := range map[string]struct {
		collect sandbox.Collect
		script  string
		want    []string
		omitted int
	}{
		"in one folder":       {sandbox.Collect{Patterns: []string{"out/*.txt"}, MaxFiles: 9, MaxBytes: 1 << 20}, untidy, []string{"out/a.txt=alpha", "out/b.txt=beta", "out/empty.txt="}, 1},
		"in every folder":     {sandbox.Collect{Patterns: []string{"**/c.txt", "*.png", "**/*.png"}, MaxFiles: 9, MaxBytes: 1 << 20}, untidy, []string{"out/deep/c.txt=gamma", "out/other.png=x"}, 0},
		"so many":             {sandbox.Collect{Patterns: []string{"out/?.txt"}, MaxFiles: 1, MaxBytes: 1 << 20}, untidy, []string{"out/a.txt=alpha"}, 1},
		"so many bytes":       {sandbox.Collect{Patterns: []string{"out/?.txt"}, MaxFiles: 9, MaxBytes: 4}, untidy, []string{"out/b.txt=beta"}, 1},
		"behind links":        {sandbox.Collect{Patterns: []string{"out/etc/**", "out/l*"}, MaxFiles: 9, MaxBytes: 1 << 20}, untidy, nil, 0},
		"though it fails":     {sandbox.Collect{Patterns: []string{"out/a*"}, MaxFiles: 9, MaxBytes: 1 << 20}, untidy + "\nexit 3", []string{"out/a.txt=alpha"}, 0},
		"not asked for":       {sandbox.Collect{MaxFiles: 9, MaxBytes: 1 << 20}, untidy, nil, 0},
		"a folder of its own": {sandbox.Collect{Patterns: []string{"out"}, MaxFiles: 9, MaxBytes: 1 << 20}, untidy, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			res, _, stderr := runScript(t, sandbox.Program{Collect: test.collect}, test.script)
			if got := contents(res); !slices.Equal(got, test.want) || res.FilesOmitted != test.omitted {
				t.Errorf("got %q and %d omitted; want %q and %d; %s", got, res.FilesOmitted, test.want, test.omitted, stderr)
			}
		})
	}
}

func TestALongFileComesBackWhole(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 30_000)
	for _, size := range []int{agent.MaxPayload - 5, agent.MaxPayload - 4, len(big)} {
		p := sandbox.Program{Stdin: big[:size], Collect: sandbox.Collect{Patterns: []string{"x*"}, MaxFiles: 1, MaxBytes: int64(size)}}
		res, _, stderr := runScript(t, p, "cat >xyz")
		if len(res.Files) != 1 || !bytes.Equal(res.Files[0].Content, big[:size]) {
			t.Errorf("%d bytes: %d files, %d omitted; %s", size, len(res.Files), res.FilesOmitted, stderr)
		}
	}
}

func TestTheWalkIsBounded(t *testing.T) {
	t.Chdir(t.TempDir())
	for i := range 600 {
		name := fmt.Sprintf("d%d/e/f", i)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	all := func(string) bool { return true }
	if got := find(all, maxWalked); len(got) != 600 || !slices.IsSorted(got) {
		t.Errorf("found %d files", len(got))
	}
	if got := find(all, 1300); len(got) != 100 {
		t.Errorf("found %d files in 1,300 entries, want 100", len(got))
	}
}

func TestAgentKeepsTheFirstBytesOfALongOutput(t *testing.T) {
	res, stdout, _ := runScript(t, sandbox.Program{OutputBytes: 10}, "printf 01234567; sleep 0.1; printf 89abcdef; printf x >&2")
	if stdout != "0123456789" || !res.Truncated || res.Status != sandbox.OK {
		t.Errorf("kept %q, %+v", stdout, res)
	}
	res, stdout, _ = runScript(t, sandbox.Program{OutputBytes: 10}, "printf 0123456789")
	if stdout != "0123456789" || res.Truncated {
		t.Errorf("exactly the limit: kept %q, %+v", stdout, res)
	}
}

func TestAgentEndsAFlood(t *testing.T) {
	res, stdout, _ := runScript(t, sandbox.Program{OutputBytes: 10, FloodBytes: 1 << 20}, "exec yes")
	if res.Status != sandbox.OutputLimit || res.ExitCode != 137 || len(stdout) != 10 {
		t.Errorf("kept %d bytes, %+v", len(stdout), res)
	}
}

func TestAgentSaysWhyTheInterpreterDidNotWarmUp(t *testing.T) {
	for want, command := range map[string][]string{
		"executable file not found":         {"no-such-interpreter"},
		"before it was warm: exit code 3":   {"sh", "-c", "exit 3"},
		"oh no":                             {"sh", "-c", "echo oh no >&2; sleep 0.1; exit 3"},
		`the warm-up said "X"`:              {"sh", "-c", "printf X >&3; sleep 10"},
		"closed its control socket":         {"sh", "-c", "exec 3>&-; sleep 10"},
		"usage: preheat-agent [-on-demand]": {agent.OnDemand},
		`exec: "no-such-command"`:           {agent.OnDemand, "no-such-command"},
		"ended while it was idle: exit cod": {"sh", "-c", "printf R >&3; sleep 0.1; exit 3"},
	} {
		p := startAgent(t, command...)
		c, err := agent.Handshake(t.Context(), sandbox.Language{}, "token", p)
		if err == nil {
			<-c.Done()
			c.Close()
		}
		p.wait()
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("%q: said %q, want %q", command, p.stderr.String(), want)
		}
	}
}

func TestAgentEndsWhenTheHostGoesAway(t *testing.T) {
	for name, command := range map[string][]string{"warm": shell, "warming up": {"sh", "-c", "sleep 60"}} {
		t.Run(name, func(t *testing.T) {
			p := startAgent(t, command...)
			if name == "warm" {
				if _, err := agent.Handshake(t.Context(), sandbox.Language{}, "token", p); err != nil {
					t.Fatal(err)
				}
			}
			p.Close()
			ended := make(chan error, 1)
			go func() { ended <- p.wait() }()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("it ended with %v: %s", err, p.stderr.String())
				}
			case <-time.After(20 * time.Second):
				t.Error("it still runs")
			}
		})
	}
}

func TestAgentRefusesFramesOutOfTurn(t *testing.T) {
	file := agent.AppendFile(nil, sandbox.File{Name: "main.sh"})
	header := agent.AppendFrame(nil, agent.Run, []byte("{}"))
	for name, words := range map[string][]byte{
		"input before the program": agent.AppendFrame(nil, agent.Stdin, []byte("x")),
		"two programs":             append(append(bytes.Clone(file), header...), header...),
		"a file given twice":       append(append(bytes.Clone(file), agent.AppendFile(nil, sandbox.File{Name: "x"})...), file...),
		"a name that climbs":       agent.AppendFrame(nil, agent.File, []byte("\x00\x04../xx")),
		"its own frame":            agent.AppendFrame(nil, agent.Ready, nil),
	} {
		t.Run(name, func(t *testing.T) {
			p := startAgent(t, "sh", "-c", "printf R >&3; cat <&3 >header; sleep 60")
			r := agent.NewReader(p)
			if f, err := r.Next(); err != nil || f.Type != agent.Ready {
				t.Fatalf("%+v, %v", f, err)
			}
			p.Write(words)
			if f, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("it answered %+v, %v", f, err)
			}
			p.wait()
			if code := p.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d: %s", code, p.stderr.String())
			}
		})
	}
}

func TestParseValueReadsBothCgroupVersions(t *testing.T) {
	for _, test := range []struct {
		text, field string
		want        int64
	}{
		{"low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\noom_group_kill 0\n", "oom_kill", 2},
		{"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill", 3},
		{"usage_usec 1234\nuser_usec 1000\n", "usage_usec", 1234},
		{"134217728\n", "", 134217728},
		{"max\n", "", 0},
		{"-5\n", "", 0},
		{"", "oom_kill", 0},
	} {
		if got := parseValue([]byte(test.text), test.field); got != test.want {
			t.Errorf("%q of %q is %d, want %d", test.field, test.text, got, test.want)
		}
	}
}

// BenchmarkRun is the agent's own part of a run: sh starts nothing.
func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		cmd := exec.Command(os.Args[0], shell...)
		cmd.Dir = b.TempDir()
		cmd.Env = append(os.Environ(), "GUEST_TEST_AGENT=1", "GORACE=atexit_sleep_ms=0")
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		c, err := agent.Handshake(context.Background(), sandbox.Language{}, "token", &process{Reader: out, WriteCloser: in})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		_, err = c.Run(context.Background(), sandbox.Program{
			Files: []sandbox.File{{Name: "main.sh", Content: []byte("echo 4")}}, Timeout: time.Minute, OutputBytes: 100}, new(sandbox.Capture))
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
		cmd.Wait()
		b.StartTimer()
	}
}

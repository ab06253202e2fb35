//go:build linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
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
	c, err := agent.Handshake(t.Context(), startAgent(t, shell...))
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

func TestAgentHandsTheHeaderToTheInterpreter(t *testing.T) {
	_, stdout, _ := runScript(t, sandbox.Program{Args: []string{"a b"}, Env: []string{"X=y"}}, "cat header")
	if !strings.Contains(stdout, `"args":["a b"]`) || !strings.Contains(stdout, `"env":{"X":"y"}`) {
		t.Errorf("the header was %s", stdout)
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
		"usage: preheat-agent COMMAND":      {},
		"ended while it was idle: exit cod": {"sh", "-c", "printf R >&3; sleep 0.1; exit 3"},
	} {
		p := startAgent(t, command...)
		c, err := agent.Handshake(t.Context(), p)
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
				if _, err := agent.Handshake(t.Context(), p); err != nil {
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
		c, err := agent.Handshake(context.Background(), &process{Reader: out, WriteCloser: in})
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

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/preheat/preheat/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var lang = sandbox.Language{Name: "python", Entry: "main.py", Command: []string{"python3", "main.py"}, Limits: sandbox.DefaultLimits()}

// hello is a program that needs nothing.
func hello() sandbox.Program {
	return sandbox.Program{
		Files:       []sandbox.File{{Name: "main.py", Content: []byte("print(1)")}},
		Timeout:     time.Minute,
		OutputBytes: 100,
	}
}

var ready = AppendFrame(nil, Ready, []byte{Version})

const token = "TTTTTTTTTTTTTTTTTTTTTTTTTT"

func result(r Report) []byte {
	r.Token = token
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return AppendFrame(nil, Finished, b)
}

// connect returns a warm connection to an agent that acts as given once a
// program has come.
func connect(t *testing.T, act func(agent net.Conn)) *Conn {
	t.Helper()
	host, agent := net.Pipe()
	var task sync.WaitGroup
	task.Go(func() {
		defer agent.Close()
		agent.Write(ready)
		if program(agent) == nil {
			act(agent)
		}
	})
	c, err := Handshake(t.Context(), lang, token, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		task.Wait()
	})
	return c
}

// program reads a whole program.
func program(agent io.Reader) error {
	for r := NewReader(agent); ; {
		if f, err := r.Next(); err != nil || f.Type == StdinEOF {
			return err
		}
	}
}

func TestRunReturnsWhatTheAgentReports(t *testing.T) {
	for name, test := range map[string]struct {
		report Report
		want   sandbox.Result
	}{
		"ok":           {Report{CPUMicros: 3000, MemoryBytes: 9}, sandbox.Result{Status: sandbox.OK, Usage: sandbox.Usage{CPU: 3 * time.Millisecond, MemoryBytes: 9}}},
		"error":        {Report{ExitCode: 3, Truncated: true}, sandbox.Result{Status: sandbox.Error, ExitCode: 3, Truncated: true}},
		"own SIGKILL":  {Report{ExitCode: 137}, sandbox.Result{Status: sandbox.Error, ExitCode: 137}},
		"memory":       {Report{ExitCode: 137, OOMKills: 1}, sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: 137}},
		"child's only": {Report{OOMKills: 1}, sandbox.Result{Status: sandbox.OK}},
		"child's, too": {Report{ExitCode: 1, OOMKills: 1}, sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: 1}},
		"flood":        {Report{ExitCode: 137, Flooded: true, Truncated: true}, sandbox.Result{Status: sandbox.OutputLimit, ExitCode: 137, Truncated: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, func(agent net.Conn) {
				agent.Write(AppendFrame(nil, Stdout, []byte("out")))
				agent.Write(AppendFrame(nil, Stderr, []byte("err")))
				agent.Write(result(test.report))
			})
			var out sandbox.Capture
			got, err := c.Run(t.Context(), hello(), &out)
			got.Duration = 0
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if stdout, stderr := out.Strings(); stdout != "out" || stderr != "err" {
				t.Errorf("printed %q and %q", stdout, stderr)
			}
		})
	}
}

func TestAHostileAgentEndsItsRunAndNothingElse(t *testing.T) {
	report, _ := json.Marshal(Report{})
	for name, words := range map[string][]byte{
		"a frame too long":         {byte(Stdout), 0xff, 0xff, 0xff, 0xff},
		"an unknown frame":         AppendFrame(nil, 0x7f, nil),
		"a host's frame":           AppendFrame(nil, Run, nil),
		"a second READY":           ready,
		"more output than allowed": AppendFrame(nil, Stdout, make([]byte, 101)),
		"more output in parts":     bytes.Repeat(AppendFrame(nil, Stderr, make([]byte, 60)), 2),
		"a result that is no JSON": AppendFrame(nil, Finished, []byte("ok")),
		"a result with more":       AppendFrame(nil, Finished, append(report, '1')),
		"an unknown field":         AppendFrame(nil, Finished, []byte(`{"status":"ok"}`)),
		"an impossible exit code":  result(Report{ExitCode: 256}),
		"an impossible figure":     result(Report{MemoryBytes: -1}),
		"processor time for ages":  result(Report{CPUMicros: maxCPUMicros + 1}),
		"an empty frame of output": AppendFrame(nil, Stdout, nil),
		"a file":                   AppendFile(nil, sandbox.File{Name: "main.py"}),
		"a file with an evil name": AppendFrame(nil, File, []byte("\x00\x10../../etc/passwd")),
		"half a frame":             AppendFrame(nil, Stdout, []byte("abc"))[:6],
		"nothing":                  nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, func(agent net.Conn) { agent.Write(words) })
			if res, err := c.Run(t.Context(), hello(), new(sandbox.Capture)); !errors.Is(err, ErrLost) {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
}

func TestWordsBeforeTheProgramBreakTheConnection(t *testing.T) {
	for name, words := range map[string][]byte{
		"output":        AppendFrame(nil, Stdout, []byte("x")),
		"a result":      result(Report{}),
		"a wrong READY": AppendFrame(nil, Ready, []byte{Version + 1}),
	} {
		t.Run(name, func(t *testing.T) {
			host, agent := net.Pipe()
			defer agent.Close()
			go func() { // ends with the pipe
				agent.Write(ready)
				agent.Write(words)
			}()
			c, err := Handshake(t.Context(), lang, token, host)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			<-c.Done()
			if _, err := c.Run(t.Context(), hello(), new(sandbox.Capture)); !errors.Is(err, sandbox.ErrDead) {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestHandshakeFailsWhenTheAgentDoes(t *testing.T) {
	for name, words := range map[string][]byte{
		"it ends":         nil,
		"another version": AppendFrame(nil, Ready, []byte{Version + 1}),
		"noise":           []byte("sh: not found\n"),
	} {
		host, agent := net.Pipe()
		go func() { // ends with the pipe
			agent.Write(words)
			agent.Close()
		}()
		if _, err := Handshake(t.Context(), lang, token, host); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	host, agent := net.Pipe()
	defer agent.Close()
	if _, err := Handshake(ctx, lang, token, host); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRunEndsAtItsDeadlineWithTheOutputSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, func(agent net.Conn) {
			agent.Write(AppendFrame(nil, Stdout, []byte("so far")))
			io.Copy(io.Discard, agent) // until the host hangs up
		})
		var out sandbox.Capture
		res, err := c.Run(t.Context(), hello(), &out)
		want := sandbox.Result{Status: sandbox.Timeout, ExitCode: 137, Duration: time.Minute}
		if stdout, _ := out.Strings(); err != nil || !cmp.Equal(res, want) || stdout != "so far" {
			t.Errorf("got %+v, %v, %q", res, err, stdout)
		}
	})
}

func TestRunEndsThoughTheAgentReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, agent := net.Pipe()
		defer agent.Close()
		go agent.Write(ready)
		c, err := Handshake(t.Context(), lang, token, host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := hello()
		p.Stdin = make([]byte, 1<<20)
		if res, err := c.Run(t.Context(), p, new(sandbox.Capture)); err != nil || res.Status != sandbox.Timeout {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

func TestRunReturnsTheErrorOfItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := connect(t, func(agent net.Conn) {
		cancel()
		io.Copy(io.Discard, agent)
	})
	if _, err := c.Run(ctx, hello(), new(sandbox.Capture)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// late fails the test when it is called after the run.
type late struct {
	t    *testing.T
	over bool
}

func (l *late) Stdout([]byte) {
	if l.over {
		l.t.Error("output after Run returned")
	}
}
func (l *late) Stderr([]byte) {}

func TestNoOutputComesAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, func(agent net.Conn) {
			for {
				if _, err := agent.Write(AppendFrame(nil, Stdout, []byte("x"))); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		out := &late{t: t}
		p := hello()
		p.Timeout = time.Second
		p.OutputBytes = 1 << 20
		if _, err := c.Run(t.Context(), p, out); err != nil {
			t.Fatal(err)
		}
		out.over = true // the race detector sees a call that is not ordered
		time.Sleep(time.Second)
	})
}

func TestTheProgramArrivesAsItWasGiven(t *testing.T) {
	p := hello()
	p.Files = append(p.Files, sandbox.File{Name: "data/big", Content: bytes.Repeat([]byte("0123456789"), 20000)})
	p.Args = []string{"a", "ü", ""}
	p.Env = []string{"A=b=c"}
	p.Stdin = bytes.Repeat([]byte("in"), 50000)
	p.FloodBytes = 7
	words, err := encode(lang, p, token)
	if err != nil {
		t.Fatal(err)
	}
	files, stdin := map[string]string{}, ""
	var header RunHeader
	for r := NewReader(bytes.NewReader(words)); ; {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch f.Type {
		case File:
			file, err := ParseFile(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			files[file.Name] += string(file.Content)
		case Run:
			if header, err = ParseRun(f.Payload); err != nil {
				t.Fatal(err)
			}
		case Stdin:
			stdin += string(f.Payload)
		}
	}
	for _, f := range p.Files {
		if files[f.Name] != string(f.Content) {
			t.Errorf("%s came as %d bytes, want %d", f.Name, len(files[f.Name]), len(f.Content))
		}
	}
	if strings.Join(header.Args, "|") != "a|ü|" || header.Env["A"] != "b=c" || header.OutputBytes != 100 || header.FloodBytes != 7 {
		t.Errorf("the header came as %+v", header)
	}
	if stdin != string(p.Stdin) {
		t.Errorf("stdin came as %d bytes", len(stdin))
	}
	if header.Token != token || header.Entry != "" || header.MemoryBytes != 0 || header.Command != nil || header.Collect != nil {
		t.Errorf("the header came as %+v", header)
	}
}

func TestTheHeaderSaysWhatIsNotAsTheLanguageHasIt(t *testing.T) {
	onDemand := lang
	onDemand.OnDemand = true
	for name, test := range map[string]struct {
		lang   sandbox.Language
		change func(*sandbox.Program)
		want   RunHeader
	}{
		"nothing":           {lang, func(p *sandbox.Program) { p.Entry, p.MemoryBytes = "main.py", 128<<20 }, RunHeader{}},
		"an entry":          {lang, func(p *sandbox.Program) { p.Entry = "a.py" }, RunHeader{Start: Start{Entry: "a.py"}}},
		"memory":            {lang, func(p *sandbox.Program) { p.MemoryBytes = 1 }, RunHeader{Start: Start{MemoryBytes: 1}}},
		"files":             {lang, func(p *sandbox.Program) { p.Collect = all }, RunHeader{Collect: []string{"**"}, CollectFiles: 2, CollectBytes: 100}},
		"a command":         {onDemand, func(p *sandbox.Program) { p.Args = []string{"x"} }, RunHeader{Command: []string{"python3", "main.py", "x"}}},
		"a command's entry": {onDemand, func(p *sandbox.Program) { p.Entry = "a.py" }, RunHeader{Command: []string{"python3", "a.py"}}},
	} {
		p := hello()
		test.change(&p)
		test.want.Env, test.want.Token, test.want.OutputBytes = map[string]string{}, token, 100
		if diff := cmp.Diff(test.want, header(test.lang, p, token)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if lang.Command[1] != "main.py" {
		t.Error("the language's command was changed")
	}
}

func TestEveryValidProgramFitsItsFrames(t *testing.T) {
	p := hello()
	for len(p.Args) < sandbox.MaxArgs {
		p.Args = append(p.Args, strings.Repeat("\x01", 30)) // six bytes each in JSON
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := encode(lang, p, token); err != nil {
		t.Error(err)
	}
	p.Args[0] = strings.Repeat("\x01", sandbox.MaxWordBytes)
	p.Args[1] = p.Args[0]
	if _, err := encode(lang, p, token); err == nil {
		t.Error("a header of more than one frame was accepted")
	}
}

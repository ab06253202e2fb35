package sandboxtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// FakeLanguage returns a language for a [Fake].
func FakeLanguage(name string) sandbox.Language {
	return sandbox.Language{Name: name, Version: "1.0", Entry: "main.txt", Image: "fake/" + name, Limits: sandbox.DefaultLimits()}
}

// script marks a program that [Interpret] takes line by line.
const script = "#!fake\n"

// Interpret prints a program's entry, or its first file, to stdout. If that
// begins with the line "#!fake", each further line is a command instead: print
// TEXT, eprint TEXT, repeat N TEXT, exit N, args, env NAME, stdin, cat FILE,
// write FILE TEXT, look FILE, take MIB, sleep DURATION, spin, flood, and spawn,
// which leaves a child that prints when the run is over. A program may take as
// much as its own memory limit, or else the default one, allows.
func Interpret(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	i := max(slices.IndexFunc(p.Files, func(f sandbox.File) bool { return f.Name == p.Entry }), 0)
	source := p.Files[i].Content
	if !bytes.HasPrefix(source, []byte(script)) {
		out.Stdout(source)
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	in := &interpreter{ctx: ctx, program: p, out: out, files: make(map[string][]byte)}
	for _, f := range p.Files {
		in.files[f.Name] = f.Content
	}
	for line := range strings.Lines(string(source[len(script):])) {
		command, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if result, ended := in.step(command, rest); ended {
			return in.collected(result), nil
		}
	}
	return in.collected(exited(0)), nil
}

func exited(code int) sandbox.Result {
	if code == 0 {
		return sandbox.Result{Status: sandbox.OK}
	}
	return sandbox.Result{Status: sandbox.Error, ExitCode: code}
}

type interpreter struct {
	ctx     context.Context
	program sandbox.Program
	out     sandbox.Output
	files   map[string][]byte // the work folder
}

// collected returns the result of a program that ended by itself with its files.
func (in *interpreter) collected(r sandbox.Result) sandbox.Result {
	if r.Status != sandbox.OK && r.Status != sandbox.Error {
		return r
	}
	want := in.program.Collect
	room := want.MaxBytes
	for _, name := range slices.Sorted(maps.Keys(in.files)) {
		content := in.files[name]
		switch {
		case !want.Match(name):
		case len(r.Files) == want.MaxFiles || int64(len(content)) > room:
			r.FilesOmitted++
		default:
			room -= int64(len(content))
			r.Files = append(r.Files, sandbox.File{Name: name, Content: content})
		}
	}
	return r
}

// step takes one line. It returns the result of a line that ends the program.
func (in *interpreter) step(command, rest string) (result sandbox.Result, ended bool) {
	switch command {
	case "print":
		in.print("%s\n", rest)
	case "eprint":
		in.out.Stderr([]byte(rest + "\n"))
	case "repeat":
		n, text, _ := strings.Cut(rest, " ")
		in.print("%s", strings.Repeat(text, number(n)))
	case "exit":
		return exited(number(rest)), true
	case "args":
		in.print("%s\n", strings.Join(in.program.Args, "\n"))
	case "env":
		in.env(rest)
	case "stdin":
		in.print("%s", in.program.Stdin)
	case "cat":
		in.print("%s", in.files[rest])
	case "write":
		name, text, _ := strings.Cut(rest, " ")
		in.files[name] = []byte(text)
	case "look":
		if _, found := in.files[rest]; found {
			in.print("%s\n", rest)
		} else {
			in.print("clean\n")
		}
	case "take":
		if int64(number(rest))<<20 > cmp.Or(in.program.MemoryBytes, sandbox.DefaultLimits().MemoryBytes) {
			return sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: sandbox.ExitKilled}, true
		}
	case "sleep":
		d, _ := time.ParseDuration(rest)
		_ = pause(in.ctx, d)
	case "spin":
		<-in.ctx.Done()
	case "flood":
		in.flood(strings.Repeat("0123456789", 1000))
	case "spawn":
		context.AfterFunc(in.ctx, func() { in.print("child\n") })
	default:
		in.out.Stderr([]byte("no such command: " + command + "\n"))
		return exited(1), true
	}
	return exited(0), in.ctx.Err() != nil
}

func (in *interpreter) print(format string, args ...any) {
	in.out.Stdout(fmt.Appendf(nil, format, args...))
}

func (in *interpreter) env(name string) {
	for _, kv := range in.program.Env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			in.print("%s\n", value)
		}
	}
}

// flood prints until the run ends. It rests in between, so that a test's
// simulated clock can move.
func (in *interpreter) flood(text string) {
	for pause(in.ctx, time.Millisecond) == nil {
		in.print("%s", text)
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1
	}
	return n
}

package sandbox

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"
)

func valid() Program {
	return Program{Files: []File{{Name: "main.py"}}, Timeout: time.Second, OutputBytes: 1}
}

func TestProgramsThatNoSandboxAcceptsAreRefused(t *testing.T) {
	files := func(names ...string) (list []File) {
		for _, name := range names {
			list = append(list, File{Name: name})
		}
		return list
	}
	for want, change := range map[string]func(*Program){
		"":                          func(*Program) {},
		"at least one file":         func(p *Program) { p.Files = nil },
		"at most 256 files":         func(p *Program) { p.Files = make([]File, MaxFiles+1) },
		"at most 256 args":          func(p *Program) { p.Args = make([]string, MaxArgs+1) },
		"at most 256 env variables": func(p *Program) { p.Env = make([]string, MaxEnv+1) },
		"timeout must be positive":  func(p *Program) { p.Timeout = 0 },
		"output limit":              func(p *Program) { p.OutputBytes = 0 },
		`"a" is given twice`:        func(p *Program) { p.Files = files("a", "a") },
		`"a" is both a file and`:    func(p *Program) { p.Files = files("a/b/c", "a") },
		"args[1] has a NUL byte":    func(p *Program) { p.Args = []string{"", "a\x00"} },
		"args[0] is longer than":    func(p *Program) { p.Args = []string{strings.Repeat("a", MaxWordBytes+1)} },
		`"1A" is not a name`:        func(p *Program) { p.Env = []string{"1A=b"} },
		`"" is not a name`:          func(p *Program) { p.Env = []string{"=b"} },
		`"A" is not a name`:         func(p *Program) { p.Env = []string{"A"} },
		"variable A has a NUL byte": func(p *Program) { p.Env = []string{"A=\x00"} },
		"together are longer":       func(p *Program) { p.Args = []string{strings.Repeat("\x01", 6000), strings.Repeat("\x01", 6000)} },
	} {
		p := valid()
		change(&p)
		err := p.Validate()
		if want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	for _, name := range []string{"main.py", "a/b/c.txt", "ü.py", ".hidden", "a b", "..a", strings.Repeat("a", MaxNameBytes)} {
		if err := ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", `a\b`, "a\x00", "a\n", "\x7f", "\xff", strings.Repeat("a", MaxNameBytes+1)} {
		if ValidateName(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func FuzzValidateName(f *testing.F) {
	for _, name := range []string{"main.py", "../x", "a/./b", "a\x00b", "/a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if ValidateName(name) == nil && !strings.HasPrefix(path.Join("/work", name), "/work/") {
			t.Errorf("%q leaves the work folder", name)
		}
	})
}

func TestDefaultLimitsAreValidAndBoundsAreKept(t *testing.T) {
	if err := DefaultLimits().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Limits){
		"memory limit must":    func(l *Limits) { l.MemoryBytes = 1 << 20 },
		"pids":                 func(l *Limits) { l.Pids = 1 },
		"CPU":                  func(l *Limits) { l.CPUs = 0 },
		"work folder's size":   func(l *Limits) { l.WorkBytes = l.MemoryBytes + 1 },
		"/dev/shm":             func(l *Limits) { l.ShmBytes = 0 },
		"at least 16 files":    func(l *Limits) { l.WorkFiles = 1 },
		"open-file":            func(l *Limits) { l.OpenFiles = 3 },
		"warm-up time must be": func(l *Limits) { l.Warmup = 0 },
	} {
		l := DefaultLimits()
		change(&l)
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

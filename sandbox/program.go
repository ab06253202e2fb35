package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a program's shape. What fits in them may still be refused by the
// narrower limits that an operator sets.
const (
	MaxFiles     = 256      // files of one program
	MaxNameBytes = 255      // bytes of a file's name, folders included
	MaxArgs      = 256      // arguments
	MaxEnv       = 256      // environment variables
	MaxWordBytes = 8 << 10  // bytes of one argument, or of one variable's name and value
	MaxWordsJSON = 60 << 10 // bytes of all arguments, variables and patterns, written as JSON
	MaxPatterns  = 32       // patterns of Collect
)

// Program is what a client submits: files, where to start, and what it is given.
type Program struct {
	// Files are written to the work folder. One of them must be the entry file.
	Files []File

	// Entry is the file that is run; empty means the language's. Another one
	// may cost the start of a new interpreter in the sandbox.
	Entry string

	// Args follow the entry file on the command line.
	Args []string

	// Env is added to the sandbox's environment, as NAME=value.
	Env []string

	// Stdin is what the program reads; it ends after that.
	Stdin []byte

	// Timeout bounds the run's wall time, counted from the hand-over. It must
	// be positive.
	Timeout time.Duration

	// OutputBytes bounds what is kept of each of stdout and stderr. The rest
	// is thrown away inside the sandbox and the result says Truncated. It must
	// be positive.
	OutputBytes int

	// FloodBytes bounds what the program may print in all, kept or not. A
	// program that prints more is ended with OutputLimit. Zero means no bound.
	FloodBytes int64

	// MemoryBytes is the sandbox's memory limit for this run; zero means the
	// language's. Another one is set before the hand-over, and may cost the
	// start of a new interpreter in the sandbox.
	MemoryBytes int64

	// Collect names the files to return after the program's end.
	Collect Collect
}

// Collect says which files of the work folder a run returns. What is no regular
// file is passed over, and so is a name that [ValidateName] refuses.
type Collect struct {
	// Patterns match whole names below the work folder, as path.Match does: *
	// and ? stop at a slash, [a-z] is a class. Between slashes, ** stands for any
	// number of folders. See [ValidatePattern].
	Patterns []string

	MaxFiles int   // of them; must be positive where there is a pattern
	MaxBytes int64 // of their contents together; likewise
}

// File is a file in the work folder.
type File struct {
	Name    string // a slash-separated path below the work folder
	Content []byte
}

// Validate reports the first thing about p that no sandbox would accept. Its
// message is for the client.
func (p Program) Validate() error {
	switch {
	case len(p.Files) == 0:
		return errors.New("a program needs at least one file")
	case len(p.Files) > MaxFiles:
		return fmt.Errorf("a program may have at most %d files", MaxFiles)
	case len(p.Args) > MaxArgs:
		return fmt.Errorf("a program may have at most %d args", MaxArgs)
	case len(p.Env) > MaxEnv:
		return fmt.Errorf("a program may have at most %d env variables", MaxEnv)
	case p.Timeout <= 0:
		return errors.New("the timeout must be positive")
	case p.OutputBytes <= 0:
		return errors.New("the output limit must be positive")
	case p.MemoryBytes < 0:
		return errors.New("the memory limit is negative")
	}
	names := make(map[string]bool, len(p.Files))
	for _, f := range p.Files {
		if err := ValidateName(f.Name); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("the file name %q is given twice", f.Name)
		}
		names[f.Name] = true
	}
	for _, f := range p.Files {
		for dir := path.Dir(f.Name); dir != "."; dir = path.Dir(dir) {
			if names[dir] {
				return fmt.Errorf("%q is both a file and a folder", dir)
			}
		}
	}
	if p.Entry != "" && !names[p.Entry] {
		return fmt.Errorf("no file is named %q, which is to be run", p.Entry)
	}
	if err := p.Collect.validate(); err != nil {
		return err
	}
	for i, arg := range p.Args {
		if err := validateWord(arg); err != nil {
			return fmt.Errorf("args[%d] %w", i, err)
		}
	}
	for _, kv := range p.Env {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || !validEnvName(name) {
			return fmt.Errorf("%q is not a name for an env variable", name)
		}
		if err := validateWord(kv); err != nil {
			return fmt.Errorf("the env variable %s %w", name, err)
		}
	}
	// They travel as JSON in one frame. Strings always marshal.
	words, _ := json.Marshal([][]string{p.Args, p.Env, p.Collect.Patterns})
	if len(words) > MaxWordsJSON {
		return fmt.Errorf("args, env and collect together are longer than %d bytes", MaxWordsJSON)
	}
	return nil
}

func (c Collect) validate() error {
	switch {
	case len(c.Patterns) > MaxPatterns:
		return fmt.Errorf("a program may collect by at most %d patterns", MaxPatterns)
	case len(c.Patterns) > 0 && (c.MaxFiles <= 0 || c.MaxBytes <= 0):
		return errors.New("the limits of what is collected must be positive")
	}
	for i, pattern := range c.Patterns {
		if err := ValidatePattern(pattern); err != nil {
			return fmt.Errorf("collect[%d]: %w", i, err)
		}
	}
	return nil
}

// ValidateName reports why name cannot name a file in the work folder: it must
// be a relative, clean, slash-separated path in printable UTF-8.
func ValidateName(name string) error {
	switch {
	case name == "":
		return errors.New("a file name is empty")
	case len(name) > MaxNameBytes:
		return fmt.Errorf("a file name is longer than %d bytes", MaxNameBytes)
	case !utf8.ValidString(name):
		return errors.New("a file name is not valid UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }):
		return fmt.Errorf("the file name %q has a control character or a backslash", name)
	case path.IsAbs(name), name == ".", name == "..", strings.HasPrefix(name, "../"), path.Clean(name) != name:
		return fmt.Errorf("the file name %q is not a plain path below the work folder", name)
	}
	return nil
}

func validateWord(s string) error {
	if len(s) > MaxWordBytes {
		return fmt.Errorf("is longer than %d bytes", MaxWordBytes)
	}
	if strings.ContainsRune(s, 0) {
		return errors.New("has a NUL byte")
	}
	return nil
}

func validEnvName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

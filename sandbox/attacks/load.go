package attacks

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/preheat/preheat/sandbox"
)

//go:embed catalogue
var embedded embed.FS

const (
	defaultTimeout = 20 * time.Second
	defaultFlood   = 8 << 20 // bytes

	maxTries = 160 // bytes of a sentence that fits into the table
)

// languages are the suffixes of entry files, and the file that every program of
// the language may import.
var languages = []struct{ name, suffix, helper string }{
	{"python", ".py", "probe.py"},
	{"node", ".js", "probe.js"},
}

// Load returns the catalogue, sorted by name; an attack that is written in two
// languages is there twice.
func Load() ([]Attack, error) {
	folder, err := fs.Sub(embedded, "catalogue")
	if err != nil {
		return nil, err
	}
	return load(folder)
}

func load(folder fs.FS) ([]Attack, error) {
	names, err := fs.Glob(folder, "*.txtar")
	if err != nil {
		return nil, err
	}
	helpers := map[string][]byte{}
	for _, l := range languages {
		if helpers[l.helper], err = fs.ReadFile(folder, l.helper); err != nil {
			return nil, fmt.Errorf("attacks: %w", err)
		}
	}
	var all []Attack
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, fmt.Errorf("attacks: %w", err)
		}
		found, err := parse(strings.TrimSuffix(name, ".txtar"), text, helpers)
		if err != nil {
			return nil, fmt.Errorf("attacks: %s: %w", name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// parse reads one file: a header, then the programs, one for each language.
func parse(name string, text []byte, helpers map[string][]byte) ([]Attack, error) {
	archive := txtar.Parse(text)
	common, err := parseHeader(name, string(archive.Comment))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range archive.Files {
		if files[f.Name] != nil {
			return nil, fmt.Errorf("%s is given twice", f.Name)
		}
		files[f.Name] = f.Data
	}
	var all []Attack
	for _, l := range languages {
		main, look := files["main"+l.suffix], files["look"+l.suffix]
		if main == nil {
			continue
		}
		delete(files, "main"+l.suffix)
		delete(files, "look"+l.suffix)
		a := common
		a.Language = l.name
		a.Files = []sandbox.File{{Name: "main" + l.suffix, Content: main}, {Name: l.helper, Content: helpers[l.helper]}}
		if look != nil {
			a.Look = slices.Clone(a.Files)
			a.Look[0].Content = look
		}
		all = append(all, a)
	}
	for name := range files {
		return nil, fmt.Errorf("%s belongs to no program", name)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no program")
	}
	return all, nil
}

func parseHeader(name, text string) (Attack, error) {
	a := Attack{Name: name, Timeout: defaultTimeout, FloodBytes: defaultFlood, expect: map[string][]Outcome{}}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			return Attack{}, fmt.Errorf("%q is not a key and a value", line)
		}
		if err := a.set(key, value); err != nil {
			return Attack{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	switch {
	case a.Tries == "" || len(a.Tries) > maxTries || !strings.HasSuffix(a.Tries, "."):
		return Attack{}, fmt.Errorf("tries: want one sentence of at most %d bytes", maxTries)
	case a.expect["sandbox"] == nil || a.expect["control"] == nil:
		return Attack{}, errors.New("want an outcome for sandbox and one for control")
	case len(a.Weak) == 0:
		return Attack{}, errors.New("weak: want a weakness")
	}
	return a, nil
}

func (a *Attack) set(key, value string) (err error) {
	switch key {
	case "tries":
		a.Tries = value
	case "weak":
		a.Weak = strings.Fields(value)
		for _, w := range a.Weak {
			if Weaknesses[w] == "" {
				return fmt.Errorf("there is no weakness %q", w)
			}
		}
	case "timeout":
		a.Timeout, err = time.ParseDuration(value)
	case "flood":
		a.FloodBytes, err = strconv.ParseInt(value, 10, 64)
	case "verdict":
		if a.OnStderr = value == "stderr"; !a.OnStderr {
			return errors.New("only stderr needs to be named")
		}
	case "arch":
		a.Arch = value
	default:
		var o Outcome
		if !validKey(key) {
			return errors.New("there is no such key")
		}
		if o, err = parseOutcome(value); err == nil {
			a.expect[key] = append(a.expect[key], o)
		}
	}
	return err
}

// validKey reports whether key names outcomes: sandbox, for all or for a
// language, a runtime or both; control, for all or for a language; absent.
func validKey(key string) bool {
	kind, _, _ := strings.Cut(key, "/")
	parts := strings.Count(key, "/")
	switch kind {
	case "sandbox":
		return parts <= 2
	case "control":
		return parts <= 1
	}
	return key == "absent"
}

// parseOutcome reads a status, an exit code after a slash where it matters, and
// what is printed: as it is, as a Go string, or * for anything.
func parseOutcome(text string) (Outcome, error) {
	first, verdict, _ := strings.Cut(text, " ")
	status, code, coded := strings.Cut(first, "/")
	o := Outcome{Status: sandbox.Status(status), ExitCode: -1, Verdict: verdict}
	if !slices.Contains(sandbox.Statuses, o.Status) {
		return Outcome{}, fmt.Errorf("there is no status %q", status)
	}
	var err error
	if coded {
		if o.ExitCode, err = strconv.Atoi(code); err != nil {
			return Outcome{}, err
		}
	}
	if strings.HasPrefix(verdict, `"`) {
		o.Verdict, err = strconv.Unquote(verdict)
	}
	return o, err
}

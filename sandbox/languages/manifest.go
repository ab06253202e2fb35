package languages

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/preheat/preheat/sandbox"
)

// Manifest says how a language's programs are named and started.
type Manifest struct {
	Name     string   `json:"name"`     // canonical, the folder's name
	Aliases  []string `json:"aliases"`  // other names that clients may use
	Entry    string   `json:"entry"`    // the file that is run
	Suffixes []string `json:"suffixes"` // of the language's files, such as ".py"
	Command  []string `json:"command"`  // what the agent starts in the work folder
	Env      []string `json:"env"`      // what the interpreter needs, NAME=value

	// OnDemand says that the language has no warm-up code: its interpreter is
	// started when a program comes.
	OnDemand bool `json:"on_demand"`

	// Collect are patterns of files that every run returns; see sandbox.Collect.
	Collect []string `json:"collect"`

	// Pool is how many warm sandboxes to keep unless the operator says otherwise.
	Pool int `json:"pool"`

	// VersionCommand prints the interpreter's version, and nothing else, to
	// standard output.
	VersionCommand []string `json:"version_command"`
}

// maxCollect bounds a language's patterns, so that they leave room for a
// program's own.
const maxCollect = 8

var (
	nameRule  = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)
	aliasRule = regexp.MustCompile(`^[a-z][a-z0-9+#.-]{0,31}$`)
	envRule   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00]*$`)
)

func (m Manifest) validate() error {
	if !nameRule.MatchString(m.Name) {
		return fmt.Errorf("the name %q must match %s", m.Name, nameRule)
	}
	for _, a := range m.Aliases {
		if !aliasRule.MatchString(a) {
			return fmt.Errorf("the alias %q must match %s", a, aliasRule)
		}
	}
	if err := sandbox.ValidateName(m.Entry); err != nil {
		return fmt.Errorf("the entry: %w", err)
	}
	for _, s := range m.Suffixes {
		if len(s) < 2 || s[0] != '.' || strings.Contains(s, "/") {
			return fmt.Errorf("the suffix %q must be a dot and more", s)
		}
	}
	for _, e := range m.Env {
		if !envRule.MatchString(e) {
			return fmt.Errorf("the env entry %q is not NAME=value", e)
		}
	}
	for _, c := range m.Collect {
		if err := sandbox.ValidatePattern(c); err != nil {
			return fmt.Errorf("the collect pattern: %w", err)
		}
	}
	switch {
	case len(m.Collect) > maxCollect:
		return fmt.Errorf("collect has more than %d patterns", maxCollect)
	case m.Pool < 0:
		return errors.New("the pool must not be negative")
	case !slices.ContainsFunc(m.Suffixes, func(s string) bool { return strings.HasSuffix(m.Entry, s) }):
		return errors.New("the entry has none of the suffixes")
	case len(m.Command) < 2 || m.Command[0] == "" || !slices.Contains(m.Command[1:], m.Entry):
		return errors.New("the command must start something with the entry")
	case len(m.VersionCommand) == 0 || m.VersionCommand[0] == "":
		return errors.New("the version_command is empty")
	}
	return nil
}

// Package attacks is a catalogue of what hostile programs try, as data, and what
// carries one of them out on any driver.
//
// Start at [Load]. Each file of the folder catalogue is one attack: a program,
// what it tries, how it must end in a sandbox, and how it ends in the weak
// control, a container without the protection in question. An attack that does
// not succeed there proves nothing. [Attack.Attempt] carries an attack out,
// [Attack.Judge] and [Attack.JudgeControl] say what the outcome means, and
// [Table] prints them all.
//
// The format of a file is described in catalogue/README.md. A file that is not
// as described is an error from Load that names it.
package attacks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// Attack is one attack in one language.
type Attack struct {
	Name     string // the file's, such as "fork-bomb"
	Language string // the language's name, such as "python"
	Tries    string // one sentence

	// Weak names what the control leaves out; see Weaknesses.
	Weak []string

	Timeout    time.Duration // of a run in the sandbox
	FloodBytes int64         // what a run in the sandbox may print
	OnStderr   bool          // the verdict is on stderr, because stdout is the attack
	Arch       string        // the only GOARCH on which it can be tried; empty is any

	Files []sandbox.File // of the program
	Look  []sandbox.File // of a second program that looks for what the first left; empty is none

	expect map[string][]Outcome // by key of the header, such as "sandbox/node"
}

// Outcome is how an attack ends.
type Outcome struct {
	Status   sandbox.Status
	ExitCode int    // -1 is any
	Verdict  string // what was printed, without the last newline; "*" is anything
}

func (o Outcome) String() string {
	s := string(o.Status)
	if o.ExitCode >= 0 {
		s += "/" + strconv.Itoa(o.ExitCode)
	}
	if o.Verdict != "" && o.Verdict != "*" {
		s += " " + quoteUnprintable(o.Verdict)
	}
	return s
}

func (o Outcome) matches(seen Outcome) bool {
	return o.Status == seen.Status &&
		(o.ExitCode < 0 || o.ExitCode == seen.ExitCode) &&
		(o.Verdict == "*" || o.Verdict == seen.Verdict)
}

// Weaknesses are what a control can leave out, and what that means.
var Weaknesses = map[string]string{
	"privileged":     "the host's root with every capability, no seccomp, nothing masked, a writable root",
	"unlimited":      "limits far above those of a sandbox",
	"many-pids":      "room for 4,096 processes and threads",
	"network":        "the host's network",
	"host-cgroups":   "the host's cgroups, writable",
	"host-kernel":    "the host's /sys, writable, and its kernel log",
	"host-files":     "the host's /etc/passwd and the Engine's socket",
	"host-processes": "the host's process namespace",
	"reused":         "the container is used for a second program, and the agent is not its first process",
	"no-deadline":    "a minute of time, as in every control",
	"no-flood":       "no bound of what is printed, as in every control",
}

// Judge returns the outcome that was expected of a in a sandbox of the OCI
// runtime and was seen, or an error that says what was seen instead.
func (a Attack) Judge(runtime string, seen Seen) (Outcome, error) {
	if a.Look != nil && seen.Before.Status != sandbox.OK {
		return Outcome{}, fmt.Errorf("the first program ended with %s", seen.Before)
	}
	return a.judge(seen, "sandbox/"+a.Language+"/"+runtime, "sandbox/"+runtime, "sandbox/"+a.Language, "sandbox")
}

// JudgeControl is Judge for the control. The attack is absent when this machine's
// kernel does not have what it needs at all, so that nothing is proven of it.
func (a Attack) JudgeControl(seen Seen) (o Outcome, absent bool, err error) {
	if a.Look != nil && seen.Before.Verdict != "PLANTED" {
		return Outcome{}, false, fmt.Errorf("the first program planted nothing: %s", seen.Before)
	}
	if o, err := a.judge(seen, "absent"); err == nil {
		return o, true, nil
	}
	o, err = a.judge(seen, "control/"+a.Language, "control")
	return o, false, err
}

// judge compares seen with the outcomes of the first key that a has.
func (a Attack) judge(seen Seen, keys ...string) (Outcome, error) {
	for _, key := range keys {
		want, ok := a.expect[key]
		if !ok {
			continue
		}
		if i := slices.IndexFunc(want, func(o Outcome) bool { return o.matches(seen.Outcome) }); i >= 0 {
			return want[i], nil
		}
		return Outcome{}, fmt.Errorf("got %s, want %v", seen.Outcome, want)
	}
	return Outcome{}, fmt.Errorf("nothing is expected under %s", strings.Join(keys, " or "))
}

func quoteUnprintable(s string) string {
	if quoted := strconv.Quote(s); len(quoted) != len(s)+2 {
		return quoted
	}
	return s
}

// Package seccomp holds the system calls that a sandbox may make.
//
// They are data: seccomp.json, in the Engine's format, with a reason for each
// rule. What no rule allows fails with EPERM; nothing is killed, because
// programs probe. Calls of another architecture, such as those of i386 on
// x86_64, are not in the list at all, and end the thread that makes them with
// SIGSYS: that is libseccomp's answer, which the format cannot change.
//
// `go run ./tools/syscalls` compares the list with traces of real programs.
package seccomp

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed seccomp.json
var file []byte

// Profile is the allowlist as far as it is looked at here.
type Profile struct {
	DefaultAction string
	Syscalls      []Rule
}

// Rule says what becomes of some calls.
type Rule struct {
	Names    []string
	Action   string // one of the actions below
	ErrnoRet int    // of SCMP_ACT_ERRNO; zero is EPERM
	Args     []Arg  // all must hold
	Comment  string // the reason
}

// Arg compares one argument of a call.
type Arg struct {
	Index    int // from 0
	Op       string
	Value    uint64 // for SCMP_CMP_MASKED_EQ, the mask
	ValueTwo uint64 // for SCMP_CMP_MASKED_EQ, what is left under the mask
}

// JSON returns the allowlist as the Engine is given it.
func JSON() string {
	var out bytes.Buffer
	if err := json.Compact(&out, file); err != nil {
		panic(err) // seccomp.json is part of the program, and tested
	}
	return out.String()
}

// Parse reads a profile, and refuses what it does not know.
func Parse(text []byte) (Profile, error) {
	var p Profile
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("seccomp: %w", err)
	}
	for i, r := range p.Syscalls {
		if !slices.Contains([]string{Allow, Errno, Trace}, r.Action) {
			return p, fmt.Errorf("seccomp: rule %d has the action %q", i, r.Action)
		}
		for _, a := range r.Args {
			if compare[a.Op] == nil {
				return p, fmt.Errorf("seccomp: rule %d compares by %q", i, a.Op)
			}
		}
	}
	return p, nil
}

// The actions that rules have.
const (
	Allow = "SCMP_ACT_ALLOW"
	Errno = "SCMP_ACT_ERRNO"
	Trace = "SCMP_ACT_TRACE" // ENOSYS, because nothing in a sandbox can trace
)

var compare = map[string]func(a Arg, value uint64) bool{
	"SCMP_CMP_EQ":        func(a Arg, v uint64) bool { return v == a.Value },
	"SCMP_CMP_NE":        func(a Arg, v uint64) bool { return v != a.Value },
	"SCMP_CMP_LT":        func(a Arg, v uint64) bool { return v < a.Value },
	"SCMP_CMP_MASKED_EQ": func(a Arg, v uint64) bool { return v&a.Value == a.ValueTwo },
}

// Match returns the index of the rule that a call meets, or -1 for the default.
// Arguments that are not given are 0.
func (p Profile) Match(name string, args ...uint64) int {
	return slices.IndexFunc(p.Syscalls, func(r Rule) bool {
		return slices.Contains(r.Names, name) && !slices.ContainsFunc(r.Args, func(a Arg) bool {
			var value uint64
			if a.Index < len(args) {
				value = args[a.Index]
			}
			return !compare[a.Op](a, value)
		})
	})
}

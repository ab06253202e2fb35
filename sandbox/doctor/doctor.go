// Package doctor has what the doctors of all drivers say alike: a [Check], and
// the judgement of a version by the known holes of older ones, [JudgePart].
//
// It has no effects and does not fail.
package doctor

import (
	"fmt"
	"strings"
)

// Level is how grave the outcome of a check is.
type Level string

// The levels.
const (
	Pass Level = "pass" // as it should be
	Warn Level = "warn" // programs run, and a wall is missing, unknown or thin
	Fail Level = "fail" // programs do not run, or a wall that is promised is not there
)

// Check is the outcome of one check, written for people.
type Check struct {
	Name   string `json:"name"`
	Level  Level  `json:"level"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"` // what to do, a few lines; empty on Pass
}

// Part is a piece of software that a driver hangs on.
type Part struct {
	Version string // empty is unknown
	Commit  string // what it was built from; of a distribution's, the package's version
}

// JudgePart compares a part with the floors below which it has known holes. For
// people it is called what.
func JudgePart(name string, p Part, floors []Floor, what string) Check {
	c := Check{Name: name, Level: Pass, Found: p.Version}
	v, ok := parseVersion(p)
	if !ok {
		c.Level, c.Found = Warn, "version unknown: "+fmt.Sprintf("%q", p.Version)
		c.Advice = "see to it yourself that " + what + " has no known holes"
		return c
	}
	if v.packaged && p.Commit != "" {
		c.Found += " (" + p.Commit + ")"
	}
	var open []string
	for _, fl := range floors {
		if !fl.fixes(v) {
			open = append(open, fmt.Sprintf("%s (fixed in %s)", fl.CVEs, strings.Join(fl.Fixed, ", ")))
		}
	}
	switch {
	case len(open) == 0:
		return c
	case v.packaged:
		c.Level = Warn
		c.Advice = "look for these in the package's changelog or the distribution's security tracker: it may have mended them under the old version\n" + strings.Join(open, "\n")
	default:
		c.Level = Fail
		c.Advice = "update " + what + ": this version has known holes\n" + strings.Join(open, "\n")
	}
	return c
}

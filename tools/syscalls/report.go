package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

// usage is what one program asked of the kernel.
type usage struct {
	program string
	used    map[int]map[string]int // rule, call: how often
	refused map[string]int         // calls that no rule allows, with the arguments that rules look at
}

// line is a call as strace prints it with -f and -e raw=all: its process, its
// name, and its arguments as numbers, whether or not it has returned.
var line = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(([^)<]*)`)

// readTrace reads one trace.
func readTrace(p seccomp.Profile, path string) (usage, error) {
	f, err := os.Open(path)
	if err != nil {
		return usage{}, err
	}
	defer f.Close()
	u := newUsage(strings.TrimSuffix(filepath.Base(path), ".strace"))
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		u.add(p, lines.Text())
	}
	return u, lines.Err()
}

func newUsage(program string) usage {
	return usage{program: program, used: map[int]map[string]int{}, refused: map[string]int{}}
}

// add counts the call of a line of a trace, if it has one.
func (u usage) add(p seccomp.Profile, text string) {
	m := line.FindStringSubmatch(text)
	if m == nil {
		return
	}
	name, args := m[1], parseArgs(m[2])
	rule := p.Match(name, args...)
	if rule < 0 || p.Syscalls[rule].Action != seccomp.Allow {
		u.refused[describe(p, name, args)]++
		return
	}
	if u.used[rule] == nil {
		u.used[rule] = map[string]int{}
	}
	u.used[rule][name]++
}

func parseArgs(text string) []uint64 {
	var args []uint64
	for word := range strings.SplitSeq(text, ",") {
		v, _ := strconv.ParseUint(strings.TrimSpace(word), 0, 64)
		args = append(args, v)
	}
	return args
}

// describe names a call that is refused, with the argument that decided.
func describe(p seccomp.Profile, name string, args []uint64) string {
	for _, r := range p.Syscalls {
		if !slices.Contains(r.Names, name) {
			continue
		}
		var seen []string
		for _, a := range r.Args {
			if a.Index < len(args) {
				seen = append(seen, fmt.Sprintf("%#x", args[a.Index]))
			}
		}
		return name + "(" + strings.Join(seen, ", ") + ")"
	}
	return name
}

// printReport writes what each program used and was refused, then what nothing
// used.
func printReport(w io.Writer, p seccomp.Profile, all []usage) {
	used := map[int]map[string]int{} // rule, call: programs
	refused := map[string][]string{}
	for _, u := range all {
		fmt.Fprintf(w, "%s: rules %v", u.program, slices.Sorted(maps.Keys(u.used)))
		if len(u.refused) > 0 {
			fmt.Fprintf(w, "; refused %s", strings.Join(slices.Sorted(maps.Keys(u.refused)), " "))
		}
		fmt.Fprintln(w)
		for rule, calls := range u.used {
			if used[rule] == nil {
				used[rule] = map[string]int{}
			}
			for name := range calls {
				used[rule][name]++
			}
		}
		for name := range u.refused {
			refused[name] = append(refused[name], u.program)
		}
	}
	fmt.Fprintf(w, "\nrefused, by call (%d)\n", len(refused))
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		fmt.Fprintf(w, "  %s: %d programs, such as %s\n", name, len(refused[name]), refused[name][0])
	}
	calls := map[string]bool{}
	fmt.Fprintln(w, "\nrules, the programs that used them, and what nothing used")
	for i, r := range p.Syscalls {
		var unused []string
		programs := 0
		for _, name := range r.Names {
			calls[name] = calls[name] || r.Action == seccomp.Allow
			programs = max(programs, used[i][name])
			if used[i][name] == 0 && r.Action == seccomp.Allow {
				unused = append(unused, name)
			}
		}
		fmt.Fprintf(w, "  %d: %d programs; %s\n", i, programs, r.Comment)
		if len(unused) > 0 {
			fmt.Fprintf(w, "     nothing used %s\n", strings.Join(unused, " "))
		}
	}
	maps.DeleteFunc(calls, func(_ string, allowed bool) bool { return !allowed })
	fmt.Fprintf(w, "\n%d programs, %d rules, %d calls allowed\n", len(all), len(p.Syscalls), len(calls))
}

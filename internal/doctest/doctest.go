// Package doctest runs the commands of a document and compares what they print
// with what the document says.
//
// Use [Run] in a test. What it runs stands in blocks fenced as ```console:
//
//	$ for name in you me; do
//	>   echo "hello $name"
//	> done
//	hello …
//	hello me
//
// A line that starts with "$ " is a command, and "> " continues it. The lines up
// to the next command are what it prints, standard output and standard error
// together. In a line, … stands for any characters; a line of only … stands for
// any number of lines. All commands of a document run in one bash, in order, so
// that a later one may use a variable of an earlier one.
package doctest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// patience bounds the run of a whole document.
const patience = 5 * time.Minute

// Run runs the document's commands, in an empty folder, and reports each that
// prints something else by file and line. A document without a command fails.
// The pairs of replace change the document before it is read, such as an address
// for that of the test's server.
func Run(t *testing.T, file string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	commands, err := parse(strings.NewReplacer(replace...).Replace(string(text)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	outputs, err := execute(t.Context(), t.TempDir(), commands)
	for _, difference := range compare(commands, outputs) {
		t.Errorf("%s:%s", filepath.Base(file), difference)
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

// command is one of a document's.
type command struct {
	line   int // in the document, from 1
	text   string
	prints []string // lines, with …
}

func parse(document string) ([]command, error) {
	var found []command
	inside, fresh := false, false // in a block; no output of its latest command yet
	opened := 0
	for i, line := range strings.Split(document, "\n") {
		switch {
		case !inside:
			inside, fresh, opened = strings.TrimSpace(line) == "```console", false, len(found)
		case strings.TrimSpace(line) == "```":
			inside = false
		case strings.HasPrefix(line, "$ "):
			found, fresh = append(found, command{line: i + 1, text: line[2:]}), true
		case len(found) == opened:
			return nil, fmt.Errorf("line %d: a console block starts with a command, after \"$ \"", i+1)
		case fresh && strings.HasPrefix(line, "> "):
			found[len(found)-1].text += "\n" + line[2:]
		default:
			last := &found[len(found)-1]
			last.prints, fresh = append(last.prints, line), false
		}
	}
	switch {
	case inside:
		return nil, errors.New("its last console block has no end")
	case len(found) == 0:
		return nil, errors.New("it has no command in a console block")
	}
	return found, nil
}

// execute returns what each command printed. There are fewer outputs than
// commands when bash ended before the last.
func execute(ctx context.Context, dir string, commands []command) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const mark = "-- end of a doctest command --"
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\n{ doctest=$?; printf '\\n%%s\\n' '%s'; (exit $doctest); }\n", c.text, mark)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	outputs := strings.Split(string(out), "\n"+mark+"\n")
	if len(outputs) > len(commands) {
		return outputs[:len(commands)], nil // the last command's exit code is bash's
	}
	return outputs, errors.Join(fmt.Errorf("bash ended in the command of line %d", commands[len(outputs)-1].line), err)
}

func compare(commands []command, outputs []string) []string {
	var differences []string
	for i, output := range outputs {
		c := commands[i]
		output = strings.TrimRight(output, "\n")
		n := mismatch(c.prints, output)
		if n < 0 {
			continue
		}
		wanted := "be no more"
		if n < len(c.prints) {
			wanted = "be like\n" + c.prints[n]
		}
		differences = append(differences, fmt.Sprintf("%d: %s\nprinted\n%.2000s\nand its output line %d should %s", c.line, c.text, output, n+1, wanted))
	}
	return differences
}

// mismatch returns the index of the first line of want that does not fit, or
// len(want) when the output goes on after them all, or -1 when it fits.
func mismatch(want []string, output string) int {
	if output != "" {
		output += "\n"
	}
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for i, line := range want {
		pattern.WriteString(linePattern(line))
		if !regexp.MustCompile(pattern.String()).MatchString(output) {
			return i
		}
	}
	if !regexp.MustCompile(pattern.String() + `\z`).MatchString(output) {
		return len(want)
	}
	return -1
}

func linePattern(line string) string {
	if strings.TrimSpace(line) == "…" {
		return `(?:.*\n)*`
	}
	parts := strings.Split(line, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return strings.Join(parts, ".*") + `\n`
}

// Command syscalls compares the seccomp allowlist with what programs do.
//
//	go run ./tools/syscalls -trace DIR [-testsuite DIR MODULE ...]
//	go run ./tools/syscalls -report DIR
//
// With -trace it runs the programs of the fidelity corpus and its own, each
// under strace in a container without a filter, and leaves the traces in DIR.
// With -testsuite it runs modules of CPython's own tests instead: DIR is what
// Debian's packages libpython3.11-testsuite and libpython3.11-stdlib have in
// usr/lib/python3.11/test. It needs root, strace, docker and the images.
//
// With -report it reads the traces and prints, for each program, which rules it
// used and which calls no rule allowed; then which rules, and which calls of
// rules, nothing used.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

// corpora are the folders with programs, from the root of the repository.
var corpora = []string{"sandbox/oci/testdata/fidelity", "tools/syscalls/programs"}

func main() {
	traceTo := flag.String("trace", "", "the `folder` to leave traces in")
	testsuite := flag.String("testsuite", "", "the `folder` of Python's package test, to trace its modules")
	report := flag.String("report", "", "the `folder` of traces to report on")
	profile := flag.String("profile", "", "the allowlist's `file`, if it is not the one built in")
	flag.Parse()
	var err error
	switch {
	case *traceTo != "":
		err = traceAll(*traceTo, *testsuite, flag.Args())
	case *report != "":
		err = reportOn(*report, *profile)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "syscalls:", err)
		os.Exit(1)
	}
}

func traceAll(folder, testsuite string, modules []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	scratch := filepath.Join(folder, "in")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o777); err != nil { // the traced program's user writes there
		return err
	}
	var jobs []job
	if testsuite != "" {
		jobs = cpython(testsuite, scratch, modules)
	} else {
		for _, c := range corpora {
			more, err := corpus(c, scratch)
			if err != nil {
				return err
			}
			jobs = append(jobs, more...)
		}
	}
	for i, j := range jobs {
		fmt.Printf("%d/%d %s\n", i+1, len(jobs), j.name)
		if err := j.run(ctx, folder); err != nil {
			return err
		}
	}
	return nil
}

func reportOn(folder, file string) error {
	text := []byte(seccomp.JSON())
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	profile, err := seccomp.Parse(text)
	if err != nil {
		return err
	}
	traces, err := filepath.Glob(filepath.Join(folder, "*.strace"))
	if err != nil {
		return err
	}
	var all []usage
	for _, path := range traces {
		u, err := readTrace(profile, path)
		if err != nil {
			return err
		}
		all = append(all, u)
	}
	printReport(os.Stdout, profile, all)
	return nil
}

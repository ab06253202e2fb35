package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/languages"
)

func newDoctor() *cobra.Command {
	o := defaultOptions()
	var quiet, asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the engine, the images, and one real run per language",
		Long: `Checks whether this machine is fit to serve with the given flags: what the engine
is and which known holes it has, what it can enforce, whether the pool fits its
memory, the images, and one real run per language. Every line is pass, warn or
fail, with what to do. Nothing is changed.

The exit code is 0 when nothing fails, and 1 otherwise.`,
		Args: noArgs,
		// Whether an engine answers does not hang on the flags of serve.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if quiet {
				return nil
			}
			return settle(cmd)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quiet {
				return o.answers(cmd.Context())
			}
			if err := errors.Join(o.validateDriver(), o.limits.Validate()); err != nil {
				return usageError{err}
			}
			checks, err := examine(cmd.Context(), o)
			if err != nil {
				return err
			}
			return report(cmd.OutOrStdout(), checks, asJSON)
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "ask only whether an engine answers, and print nothing; the exit code tells")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	o.share(cmd.Flags(), "driver", "data", "languages", "language-folders", "pool", "runtime", "memory", "cpus", "pids")
	completeFlags(cmd, o)
	return cmd
}

// answers reports whether an engine does.
func (o *options) answers(ctx context.Context) error {
	k, err := o.kind(ctx, os.Getenv)
	if err != nil {
		return err
	}
	return k.probe(ctx)
}

// examine makes every check, as far as the earlier ones let it come.
func examine(ctx context.Context, o *options) ([]doctor.Check, error) {
	folders, err := selectFolders(o.languageFolders, o.languages)
	if err != nil {
		return nil, err
	}
	named := slices.AppendSeq(slices.Collect(maps.Keys(o.pool)), maps.Keys(o.runtime.of))
	if _, err := selectFolders(o.languageFolders, named); err != nil {
		return nil, err
	}
	k, err := o.kind(ctx, os.Getenv)
	if err != nil {
		return []doctor.Check{failed("driver", err)}, nil
	}
	e, err := openEngine(k, ownInstance("doctor"), nil, nil)
	if err != nil {
		return k.examine(ctx, sandbox.EngineInfo{}, err), nil
	}
	defer e.Close()
	info, err := e.check(ctx)
	checks := k.examine(ctx, info, err)
	if err != nil {
		return checks, nil
	}
	return append(checks, o.examineLanguages(ctx, e, info, folders)...), nil
}

// examineLanguages looks at the pool's size, and at each language's image and
// runtime, and runs a program in it.
func (o *options) examineLanguages(ctx context.Context, e *engine, info sandbox.EngineInfo, folders []languages.Folder) []doctor.Check {
	found, err := o.listImages(ctx, e.kind, folders)
	if err != nil {
		return []doctor.Check{failed("images", err)}
	}
	members := o.sized(folders, found)
	checks := []doctor.Check{judgeMemory(members, info.MemoryBytes)}
	for i, m := range members {
		image, runtime := judgeImage(found[i]), examineRuntime(ctx, e, m.Language.Name, o)
		checks = append(checks, image, runtime)
		if image.Level != doctor.Fail && runtime.Level != doctor.Fail {
			checks = append(checks, tryRun(ctx, e, m.Language))
		}
	}
	return checks
}

func examineRuntime(ctx context.Context, d driver, language string, o *options) doctor.Check {
	runtime, err := d.Runtime(ctx, o.runtime.name(language))
	if err != nil {
		return failed("runtime "+language, err)
	}
	return judgeRuntime(language, runtime)
}

// tryRun runs an empty program, which is one in every language.
func tryRun(ctx context.Context, d sandbox.Driver, lang sandbox.Language) doctor.Check {
	name := "run " + lang.Name
	start := time.Now()
	s, err := d.Launch(ctx, lang)
	if err != nil {
		return failed(name, err)
	}
	warm := time.Since(start)
	program := sandbox.Program{Files: []sandbox.File{{Name: lang.Entry}}, Timeout: 10 * time.Second, OutputBytes: 4 << 10}
	var out sandbox.Capture
	res, err := s.Run(ctx, program, &out)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	destroyed := s.Destroy(ctx)
	switch {
	case err != nil:
		return failed(name, err)
	case destroyed != nil:
		return failed(name, destroyed)
	}
	_, stderr := out.Strings()
	return judgeRun(name, res, stderr, warm)
}

// report prints the checks and returns an error when one has failed.
func report(w io.Writer, checks []doctor.Check, asJSON bool) error {
	bad := 0
	for _, c := range checks {
		if c.Level == doctor.Fail {
			bad++
		}
	}
	if err := printChecks(w, checks, bad == 0, asJSON); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(checks))
	}
	return nil
}

func printChecks(w io.Writer, checks []doctor.Check, ok, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"ok": ok, "checks": checks})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Level, c.Name, c.Found)
		for line := range strings.Lines(c.Advice) {
			fmt.Fprintf(table, "\t\t→ %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	return table.Flush()
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/docker/doctor"
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
				return answers(cmd.Context())
			}
			if err := o.limits.Validate(); err != nil {
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
	o.share(cmd.Flags(), "languages", "language-folders", "pool", "runtime", "memory", "cpus", "pids")
	return cmd
}

// newExaminer returns a driver for the doctor's own sandboxes.
func newExaminer() (*docker.Driver, error) {
	api, err := docker.NewClient()
	if err != nil {
		return nil, err
	}
	return docker.New(api, docker.Config{Instance: "doctor"})
}

// answers reports whether an engine does.
func answers(ctx context.Context) error {
	d, err := newExaminer()
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = checkEngine(ctx, d)
	return err
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
	d, err := newExaminer()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	engine, err := checkEngine(ctx, d)
	if err != nil {
		return []doctor.Check{failed("engine", err)}, nil
	}
	checks := examineEngine(ctx)
	found, err := listImages(ctx, folders)
	if err != nil {
		return append(checks, failed("images", err)), nil
	}
	members := o.sized(folders, found)
	checks = append(checks, judgeMemory(members, engine.MemoryBytes))
	for i, m := range members {
		image, runtime := judgeImage(found[i]), examineRuntime(ctx, d, m.Language.Name, o)
		checks = append(checks, image, runtime)
		if image.Level != doctor.Fail && runtime.Level != doctor.Fail {
			checks = append(checks, tryRun(ctx, d, m.Language))
		}
	}
	return checks, nil
}

func examineEngine(ctx context.Context) []doctor.Check {
	api, err := docker.NewClient()
	if err != nil {
		return []doctor.Check{failed("engine", err)}
	}
	defer api.Close()
	facts, err := doctor.Gather(ctx, api)
	if err != nil {
		return []doctor.Check{failed("engine", err)}
	}
	return doctor.Judge(facts)
}

func examineRuntime(ctx context.Context, d *docker.Driver, language string, o *options) doctor.Check {
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

package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// runtimes is a flag for the OCI runtimes of the sandboxes, written like runsc,
// python=runsc,node=runc or runsc,node=runc. An empty name is the engine's
// default.
type runtimes struct {
	all string            // of every language not named
	of  map[string]string // by language
}

var runtimeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

var errRuntimes = errors.New("want a runtime like runsc, or one for each language like python=runsc,node=runc")

func (r *runtimes) Set(text string) error {
	set := runtimes{of: map[string]string{}}
	for part := range strings.SplitSeq(text, ",") {
		language, name, one := strings.Cut(part, "=")
		switch {
		case text == "":
		case one && language != "" && set.of[language] == "" && runtimeName.MatchString(name):
			set.of[language] = name
		case !one && set.all == "" && runtimeName.MatchString(part):
			set.all = part
		default:
			return errRuntimes
		}
	}
	*r = set
	return nil
}

func (r *runtimes) String() string {
	var parts []string
	if r.all != "" {
		parts = append(parts, r.all)
	}
	for _, language := range slices.Sorted(maps.Keys(r.of)) {
		parts = append(parts, language+"="+r.of[language])
	}
	return strings.Join(parts, ",")
}

func (*runtimes) Type() string { return "runtime" }

// name returns the runtime of a language.
func (r *runtimes) name(language string) string {
	if name, ok := r.of[language]; ok {
		return name
	}
	return r.all
}

// checkRuntimes makes sure that the engine has the runtimes of the languages
// that are served, and logs which they are and what they are known not to hold.
func (o *options) checkRuntimes(ctx context.Context, driver driver, log *slog.Logger) error {
	if _, err := selectFolders(o.languageFolders, slices.Collect(maps.Keys(o.runtime.of))); err != nil {
		return err
	}
	folders, err := selectFolders(o.languageFolders, o.languages)
	if err != nil {
		return err
	}
	warned := map[string]bool{}
	for _, f := range folders {
		runtime, err := driver.Runtime(ctx, o.runtime.name(f.Manifest.Name))
		if err != nil {
			return err
		}
		log.Info("runtime", "language", f.Manifest.Name, "runtime", runtime.Name)
		if !warned[runtime.Name] {
			for _, warning := range runtime.Warnings {
				log.Warn(warning)
			}
		}
		warned[runtime.Name] = true
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/languages"
)

// reloadable are the flags that a running server can change.
var reloadable = []string{"log-level", "max-sandboxes", "pool", "queue"}

// reloader applies to a running server what has changed in its files. No run
// notices.
type reloader struct {
	options *options       // with which the server was started
	flags   *pflag.FlagSet // from which they are
	engine  *engine
	pool    *pool.Pool
	keys    *keys.Ring
	audit   *auditLog // may be nil
	level   *slog.LevelVar
	log     *slog.Logger
}

// reload reads the config file and the keys again, and opens the audit log anew.
// A file that cannot be used changes nothing.
func (r *reloader) reload(ctx context.Context) {
	if err := errors.Join(r.config(ctx), r.keys.Reload(), r.audit.reopen()); err != nil {
		r.log.Error("the reload failed; what is wrong stays as it was", "error", err)
		return
	}
	r.log.Info("reloaded")
}

func (r *reloader) config(ctx context.Context) error {
	o, flags, err := reread(r.flags)
	if err != nil {
		return err
	}
	engine, err := r.engine.check(ctx)
	if err != nil {
		return err
	}
	folders, err := selectFolders(r.options.languageFolders, names(r.pool.Languages()))
	if err != nil {
		return err
	}
	members, err := o.fit(o.resized(folders, r.pool.Languages()), engine, r.log)
	if err != nil {
		return err
	}
	sizing := pool.Sizing{Sizes: map[string]int{}, MaxLive: o.maxSandboxes, Queue: o.queue}
	for _, m := range members {
		sizing.Sizes[m.Language.Name] = m.Size
	}
	if err := r.pool.Resize(sizing); err != nil {
		return err
	}
	r.level.Set(o.level())
	if need := changed(r.flags, flags); len(need) > 0 {
		r.log.Warn("some settings have changed and need a restart", "settings", strings.Join(need, " "))
	}
	return nil
}

func names(list []sandbox.Language) []string {
	names := make([]string, len(list))
	for i, l := range list {
		names[i] = l.Name
	}
	return names
}

// resized returns the languages, each of its folder, with the pool sizes that
// are asked for now.
func (o *options) resized(folders []languages.Folder, list []sandbox.Language) []pool.Member {
	members := make([]pool.Member, len(list))
	for i, l := range list {
		members[i] = pool.Member{Language: l, Size: o.size(folders[i])}
	}
	return members
}

// reread returns the options that a restart would have: the command line and
// the environment are those of flags, the config file is read again.
func reread(flags *pflag.FlagSet) (*options, *pflag.FlagSet, error) {
	o := defaultOptions()
	fresh := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(fresh)
	var failed error
	fresh.VisitAll(func(f *pflag.Flag) {
		if was := flags.Lookup(f.Name); was.Changed {
			failed = errors.Join(failed, fresh.Set(f.Name, written(was.Value)))
		}
	})
	if failed != nil {
		return nil, nil, failed
	}
	if file := flags.Lookup("config"); file.Value.String() != "" {
		settings, err := readConfig(file.Value.String(), file.Changed)
		if err != nil {
			return nil, nil, err
		}
		if err := fromFile(fresh, settings); err != nil {
			return nil, nil, err
		}
	}
	if err := o.validate(); err != nil {
		return nil, nil, fmt.Errorf("the settings: %w", err)
	}
	return o, fresh, nil
}

// written is a flag's value as the flag reads it: lists print in brackets.
func written(v pflag.Value) string {
	text := v.String()
	switch v.Type() {
	case "stringSlice", "stringToInt":
		text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	return text
}

// changed returns the names of those flags that a running server cannot change
// and that differ.
func changed(was, now *pflag.FlagSet) []string {
	var list []string
	now.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(reloadable, f.Name) && !reflect.DeepEqual(valueOf(was, was.Lookup(f.Name)), valueOf(now, f)) {
			list = append(list, f.Name)
		}
	})
	return list
}

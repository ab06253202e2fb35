package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError marks an error of the command line, as against one of the work.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func isUsage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok || strings.HasPrefix(err.Error(), "unknown command")
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// fromEnv sets the flags that the command line does not, from their twins in
// the environment.
func fromEnv(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		value, ok := lookup(name)
		if !ok || f.Changed || failed != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = usageError{fmt.Errorf("the environment's %s: %w", name, err)}
		}
	})
	return failed
}

func envName(flag string) string {
	return "PREHEAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// size is a flag for a number of bytes, written like 64k, 128m or 1.5g; the
// units are powers of 1,024.
type size struct{ bytes *int64 }

func sizeVar(flags *pflag.FlagSet, p *int64, name string, usage string) {
	flags.Var(size{p}, name, usage)
}

func (s size) Set(text string) error {
	n, err := units.RAMInBytes(text)
	if err != nil {
		return errors.New("want a size like 64k, 128m or 1g")
	}
	*s.bytes = n
	return nil
}

func (s size) String() string {
	if s.bytes == nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(units.CustomSize("%g%s", float64(*s.bytes), 1024, []string{"B", "K", "M", "G", "T"}), "B"))
}

func (s size) Type() string { return "size" }

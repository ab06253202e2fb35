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

// noArgs refuses arguments; for a command of commands, one that it does not have.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	if !cmd.HasSubCommands() {
		text = fmt.Sprintf("%s takes no argument, but got %q", cmd.CommandPath(), args[0])
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{errors.New(text)}
}

// usageArgs makes what rule says of the arguments an error of the command line.
func usageArgs(rule cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := rule(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
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

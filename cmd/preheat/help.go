package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Annotations of commands: sections of the help that they do not share.
const (
	environmentNote = "preheat_environment"
	exitNote        = "preheat_exit"
)

const environment = `  PREHEAT_...    a flag's twin, as PREHEAT_QUEUE_TIMEOUT of --queue-timeout
  DOCKER_HOST    the Docker Engine, where it is not the one on this machine; then --driver auto is docker`

const exits = `  0  done
  1  failed; a sentence on stderr says why
  2  the command line, the environment or the config file cannot be understood`

// usage prints all of a command's help that follows the description.
func usage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	section(w, "Usage", "  "+cmd.UseLine())
	section(w, "Commands", commands(cmd))
	for _, s := range subjects(cmd.LocalFlags()) {
		section(w, s.title, s.flags.FlagUsagesWrapped(100))
	}
	section(w, "Global flags", cmd.InheritedFlags().FlagUsagesWrapped(100))
	section(w, "Environment", noteOr(cmd, environmentNote, environment))
	section(w, "Exit codes", noteOr(cmd, exitNote, exits))
	section(w, "Examples", cmd.Example)
	return nil
}

// section prints text, if there is any, under a title; the first without a line
// between it and what stands above.
func section(w io.Writer, title, text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	gap := "\n"
	if title == "Usage" {
		gap = ""
	}
	fmt.Fprintf(w, "%s%s:\n%s\n", gap, title, text)
}

func noteOr(cmd *cobra.Command, note, otherwise string) string {
	if text, ok := cmd.Annotations[note]; ok {
		return text
	}
	return otherwise
}

func commands(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&b, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	return b.String()
}

// subject is a heading of the help and the flags below it.
type subject struct {
	title string
	flags *pflag.FlagSet
}

// subjects sorts flags under the headings that their annotations name; those
// without one come last.
func subjects(flags *pflag.FlagSet) []subject {
	const others = "Flags"
	var list []subject
	add := func(title string, f *pflag.Flag) {
		for i := range list {
			if list[i].title == title {
				list[i].flags.AddFlag(f)
				return
			}
		}
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.SortFlags = false
		set.AddFlag(f)
		list = append(list, subject{title, set})
	}
	var rest []*pflag.Flag
	flags.VisitAll(func(f *pflag.Flag) {
		if title := f.Annotations[subjectNote]; title != nil {
			add(title[0], f)
		} else {
			rest = append(rest, f)
		}
	})
	for _, f := range rest {
		add(others, f)
	}
	return list
}

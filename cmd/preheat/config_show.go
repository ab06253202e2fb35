package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

func newConfig() *cobra.Command {
	o := defaultOptions()
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings of serve and where each is from",
		Long: `Prints what serve would work with, given the same flags, environment and config
file, and where each value is from. The YAML can be saved as a config file.
Settings that cannot work are told of after it.

The config file holds the flags of serve by their names, one a line:

  addr: 127.0.0.1:8000
  languages: [python, node]
  pool: {python: 8, node: 4}
  memory: 256m

A flag wins over the environment, that over the file, that over the default.
Other commands take from the file what they have a flag for.`,
		Example: `  preheat config
  preheat config --pool python=8 > preheat.yaml
  preheat config --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			show := showYAML
			if asJSON {
				show = showJSON
			}
			if err := show(cmd.OutOrStdout(), cmd.Flags()); err != nil {
				return err
			}
			if err := o.validate(); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().SortFlags = false
	o.register(cmd.Flags())
	completeFlags(cmd, o)
	return cmd
}

// inFile returns the flags that can stand in the config file.
func inFile(flags *pflag.FlagSet) *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Annotations[inFileNote] != nil {
			set.AddFlag(f)
		}
	})
	return set
}

func showYAML(w io.Writer, flags *pflag.FlagSet) error {
	gap := ""
	for _, s := range subjects(inFile(flags)) {
		lines, err := yamlLines(s.flags)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s# %s\n\n%s", gap, s.title, lines); err != nil {
			return err
		}
		gap = "\n"
	}
	return nil
}

// yamlLines writes the flags as they stand in a file, with what each is about
// above and where its value is from behind.
func yamlLines(flags *pflag.FlagSet) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		value := new(yaml.Node)
		failed = errors.Join(failed, value.Encode(valueOf(flags, f)))
		value.LineComment = sourceOf(f)
		if value.Kind != yaml.ScalarNode {
			value.Style = yaml.FlowStyle // in one line
		}
		_, usage := pflag.UnquoteUsage(f)
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: f.Name, HeadComment: usage}
		top.Content = append(top.Content, key, value)
	})
	if failed != nil {
		return nil, failed
	}
	return yaml.Marshal(top)
}

func showJSON(w io.Writer, flags *pflag.FlagSet) error {
	type shown struct {
		Value  any    `json:"value"`
		Source string `json:"source"`
	}
	all := map[string]shown{}
	inFile(flags).VisitAll(func(f *pflag.Flag) {
		all[f.Name] = shown{valueOf(flags, f), sourceOf(f)}
	})
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(all)
}

func sourceOf(f *pflag.Flag) string {
	switch {
	case f.Annotations[sourceNote] != nil:
		return f.Annotations[sourceNote][0]
	case f.Changed:
		return "--" + f.Name
	}
	return "default"
}

// valueOf is the value of a flag as a file has it.
func valueOf(flags *pflag.FlagSet, f *pflag.Flag) any {
	text := f.Value.String()
	switch f.Value.Type() {
	case "bool":
		return text == "true"
	case "int", "int64":
		n, _ := strconv.ParseInt(text, 10, 64) // a flag writes what it reads
		return n
	case "float64":
		n, _ := strconv.ParseFloat(text, 64)
		return n
	case "stringSlice":
		list, _ := flags.GetStringSlice(f.Name)
		return append([]string{}, list...)
	case "stringToInt":
		byName, _ := flags.GetStringToInt(f.Name)
		return byName
	}
	return text
}

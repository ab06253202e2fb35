package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// sourceNote is the annotation of a flag that says where its value is from,
// when that is not the command line.
const sourceNote = "preheat_source"

// configFile is the file that is read unless another one is named; empty where
// the user has no home.
func configFile(getenv func(string) string, uid int) string {
	if uid == 0 {
		return "/etc/preheat/preheat.yaml"
	}
	return inHome(getenv, "XDG_CONFIG_HOME", ".config", "preheat", "preheat.yaml")
}

// settle gives the flags that the command line leaves open their values from the
// environment, and those that are then left from the config file.
func settle(cmd *cobra.Command) error {
	flags := cmd.Flags()
	if err := fromEnv(flags, os.LookupEnv); err != nil {
		return err
	}
	config := flags.Lookup("config")
	wanted := false
	flags.VisitAll(func(f *pflag.Flag) { wanted = wanted || f.Annotations[inFileNote] != nil })
	if !wanted || config.Value.String() == "" {
		return nil
	}
	settings, err := readConfig(config.Value.String(), config.Changed)
	if err != nil {
		return usageError{err}
	}
	return fromFile(flags, settings)
}

// fromEnv sets the flags that the command line does not, from their twins in
// the environment.
func fromEnv(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		value, ok := lookup(name)
		if !ok || f.Changed || failed != nil || f.Annotations[hereNote] != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = usageError{fmt.Errorf("the environment's %s: %w", name, err)}
		}
		note(f, sourceNote, name)
	})
	return failed
}

// setting is one line of the config file.
type setting struct {
	name  string // of a flag
	value *yaml.Node
	where string // file:line
}

// readConfig reads the file, which may be missing unless it was named.
func readConfig(path string, named bool) ([]setting, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the config file: %w", err)
	}
	return parseConfig(path, data)
}

// yamlLine is how the library begins an error.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parseConfig returns the settings of one YAML document. Its errors name the
// file and the line.
func parseConfig(path string, data []byte) ([]setting, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		switch err = d.Decode(&more); {
		case err == nil:
			return nil, fmt.Errorf("%s:%d: there is a second document", path, more.Line)
		case errors.Is(err, io.EOF):
			err = nil
		}
	}
	if err != nil {
		m := yamlLine.FindStringSubmatch(err.Error())
		where := strings.TrimSuffix(path+":"+m[1], ":")
		return nil, fmt.Errorf("%s: it is not YAML: %s", where, strings.TrimPrefix(err.Error(), m[0]))
	}
	top := doc.Content[0]
	if top.Kind == yaml.ScalarNode && top.ShortTag() == "!!null" {
		return nil, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want lines like addr: 127.0.0.1:5000", path, top.Line)
	}
	var settings []setting
	line, err := eachPair(top, func(key, value *yaml.Node) error {
		settings = append(settings, setting{key.Value, value, fmt.Sprintf("%s:%d", path, key.Line)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, line, err)
	}
	return settings, nil
}

// eachPair calls f for each pair of a mapping, and refuses a key that is there
// twice. With an error it returns the line.
func eachPair(mapping *yaml.Node, f func(key, value *yaml.Node) error) (line int, err error) {
	first := map[string]int{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return key.Line, errors.New("the key is not a name")
		}
		if line, twice := first[key.Value]; twice {
			return key.Line, fmt.Errorf("%s is there twice, first in line %d", key.Value, line)
		}
		first[key.Value] = key.Line
		if err := f(key, value); err != nil {
			return key.Line, err
		}
	}
	return 0, nil
}

// fromFile sets those of flags that are in the file and not set yet. All of the
// file is checked, also what only other commands have.
func fromFile(flags *pflag.FlagSet, settings []setting) error {
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaultOptions().register(known)
	for _, s := range settings {
		if known.Lookup(s.name) == nil {
			return usageError{fmt.Errorf("%s: there is no setting %q; the settings are the flags of `preheat serve`", s.where, s.name)}
		}
		if err := s.set(known); err != nil {
			return usageError{fmt.Errorf("%s: %s: %w", s.where, s.name, err)}
		}
		f := flags.Lookup(s.name)
		if f == nil || f.Changed || f.Annotations[inFileNote] == nil {
			continue
		}
		if err := s.set(flags); err != nil {
			return usageError{fmt.Errorf("%s: %s: %w", s.where, s.name, err)}
		}
		note(f, sourceNote, s.where)
	}
	return nil
}

// set gives the flag the setting's value: a scalar, for a list also a sequence,
// and for what is written a=b also a mapping.
func (s setting) set(flags *pflag.FlagSet) error {
	f := flags.Lookup(s.name)
	list, isList := f.Value.(pflag.SliceValue)
	shape := "a plain value"
	switch f.Value.Type() {
	case "stringSlice":
		shape = "a list"
	case "stringToInt", "runtime":
		shape = "a mapping"
	}
	switch {
	case s.value.Kind == yaml.ScalarNode:
		text, err := scalar(s.value)
		if err != nil {
			return err
		}
		return f.Value.Set(text)
	case s.value.Kind == yaml.SequenceNode && isList:
		var items []string
		for _, item := range s.value.Content {
			text, err := scalar(item)
			if err != nil {
				return err
			}
			items = append(items, text)
		}
		return list.Replace(items)
	case s.value.Kind == yaml.MappingNode && shape == "a mapping":
		var pairs []string
		_, err := eachPair(s.value, func(key, value *yaml.Node) error {
			text, err := scalar(value)
			pairs = append(pairs, key.Value+"="+text)
			return err
		})
		if err != nil || len(pairs) == 0 {
			return err
		}
		return f.Value.Set(strings.Join(pairs, ","))
	}
	return fmt.Errorf("want %s", shape)
}

func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("want a plain value")
	case n.ShortTag() == "!!null":
		return "", errors.New("the value is missing")
	}
	return n.Value, nil
}

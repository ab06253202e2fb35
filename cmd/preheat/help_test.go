package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// everyCommand calls f for each command but cobra's own.
func everyCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		everyCommand(sub, f)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	everyCommand(newRoot(), func(cmd *cobra.Command) {
		help, code := output(command(append(strings.Fields(cmd.CommandPath())[1:], "--help")...))
		if code != 0 || len(cmd.Long) <= len(cmd.Short) {
			t.Errorf("%s: exit code %d; %q says no more than %q", cmd.CommandPath(), code, cmd.Long, cmd.Short)
		}
		for _, title := range []string{"Usage:", "Flags:", "Environment:", "Exit codes:"} {
			if strings.Count(help, "\n"+title+"\n") != 1 {
				t.Errorf("%s --help has not one section %q", cmd.CommandPath(), title)
			}
		}
		for line := range strings.Lines(help) {
			if len([]rune(line)) > 120 {
				t.Errorf("%s --help has the long line %s", cmd.CommandPath(), line)
			}
		}
	})
	if help, _ := output(command("--help")); strings.Count(help, "\n") > 40 {
		t.Errorf("preheat --help has %d lines", strings.Count(help, "\n"))
	}
}

func TestEveryFlagOfServeHasASubjectAndCanStandInTheFile(t *testing.T) {
	serve, _, err := newRoot().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	serve.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && (f.Annotations[subjectNote] == nil || f.Annotations[inFileNote] == nil) {
			t.Errorf("--%s has not", f.Name)
		}
	})
}

func TestTheShellCompletes(t *testing.T) {
	data := t.TempDir()
	if out, code := output(command("keys", "add", "ci", "--data", data)); code != 0 {
		t.Fatal(out)
	}
	for _, test := range []struct {
		words []string
		want  string // a line
	}{
		{[]string{"ser"}, "serve"},
		{[]string{"keys", "remove", "--data", data, ""}, "ci"},
		{[]string{"images", "build", ""}, "python"},
		{[]string{"images", "build", "--base", ""}, "registry"},
		{[]string{"run", "--language", ""}, "node"},
		{[]string{"serve", "--languages", ""}, "node"},
		{[]string{"serve", "--log-level", ""}, "warn"},
		{[]string{"doctor", "--driver", "o"}, "oci"},
		{[]string{"serve", "--log-format", "j"}, "json"},
		{[]string{"serve", "--data", ""}, ":16"}, // folders
	} {
		out, err := command(append([]string{"__complete"}, test.words...)...).Output()
		name, _, _ := strings.Cut(test.want, "\t")
		found := false
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			found = found || word == name
		}
		if err != nil || !found {
			t.Errorf("%q: %v, offered\n%s", test.words, err, out)
		}
	}
}

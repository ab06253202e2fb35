package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/preheat/preheat/keys"
)

// completion returns what a word on the command line may be.
type completion = cobra.CompletionFunc

func completeKeys(o *options) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || settle(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := keys.List(o.keysFile()) // without the file there is nothing to offer
		var names []string
		for _, k := range list {
			names = append(names, k.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeLanguages offers those that were not named yet.
func completeLanguages(o *options) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if settle(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		folders, _ := selectFolders(o.languageFolders, nil)
		names := slices.DeleteFunc(folderNames(folders), func(name string) bool { return slices.Contains(args, name) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags lets the shell complete the values of the flags that cmd has.
func completeFlags(cmd *cobra.Command, o *options) {
	for name, f := range map[string]completion{
		"log-level":        words("debug", "info", "warn", "error"),
		"log-format":       words("text", "json"),
		"driver":           words(driverNames()...),
		"base":             words("auto", "registry", "debian"),
		"languages":        completeLanguages(o),
		"language":         completeLanguages(o),
		"data":             folders,
		"output":           folders,
		"language-folders": folders,
	} {
		if cmd.Flags().Lookup(name) != nil {
			cmd.RegisterFlagCompletionFunc(name, f) // fails only for a flag that is not there
		}
	}
}

func words(list ...string) completion {
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

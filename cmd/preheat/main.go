// Command preheat runs untrusted code in warm, locked-down containers.
//
// This is the only package that reads flags, the environment and the config
// file; it wires the others together. `preheat help` lists what it can do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

// run is main with an exit code: 0 is success, 1 a failure, 2 a command line
// that cannot be understood; `preheat run` has its own.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if ended, ok := errors.AsType[endedError](err); ok {
		return ended.code
	}
	fmt.Fprintln(os.Stderr, "preheat:", err)
	_, usage := errors.AsType[usageError](err)
	if usage {
		fmt.Fprintf(os.Stderr, "see `%s --help`\n", cmd.CommandPath())
	}
	switch {
	case cmd.Annotations[runsNote] != "":
		return exitFailure
	case usage:
		return 2
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "preheat",
		Short: "Run untrusted code in warm, locked-down containers",
		Long: `preheat keeps locked-down containers warm and runs each piece of untrusted code
in a fresh one, within milliseconds; then the container is destroyed and replaced.
A Docker Engine makes them, or an OCI runtime without a daemon; see --driver.

Begin with ` + "`preheat doctor`, `preheat serve` or `preheat run FILE`.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return settle(cmd) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetUsageFunc(usage)
	root.PersistentFlags().String("config", configFile(os.Getenv, os.Geteuid()), "`file` of settings; see preheat config --help")
	root.AddCommand(newServe(), newRun(), newImages(), newDoctor(), newKeys(), newConfig(), newHealth(), newSocketProxy(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Prints the version of this preheat.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}

// Command preheat runs untrusted code in warm, locked-down containers.
//
// This is the only package that reads flags and the environment; it wires the
// others together. `preheat help` lists what it can do.
package main

import (
	"context"
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
// that cannot be understood.
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
	fmt.Fprintln(os.Stderr, "preheat:", err)
	if isUsage(err) {
		fmt.Fprintf(os.Stderr, "see `%s --help`\n", cmd.CommandPath())
		return 2
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "preheat",
		Short: "Run untrusted code in warm, locked-down containers",
		Long: `preheat keeps locked-down Docker containers warm and runs each piece of
untrusted code in a fresh one, within milliseconds; then the container is
destroyed and replaced.

Every flag has a twin in the environment: --queue-timeout is
PREHEAT_QUEUE_TIMEOUT. A flag on the command line wins.

The Docker Engine is the one that DOCKER_HOST names, or the one on this machine.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return fromEnv(cmd.Flags(), os.LookupEnv) }
	root.AddCommand(newServe(), newImages(), newDoctor(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}

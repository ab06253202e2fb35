package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/preheat/preheat/sandbox/docker"
)

func newDoctor() *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Ask whether the engine answers, and what it is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := docker.NewClient()
			if err != nil {
				return err
			}
			d, err := docker.New(api, docker.Config{Instance: "doctor"})
			if err != nil {
				return err
			}
			defer d.Close()
			info, err := checkEngine(cmd.Context(), d)
			if err != nil || quiet {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "engine   %s %s, API %s\nruntime  %s of %v\ncgroup   v%d\nstorage  %s\nmachine  %d processors, %d MiB\n",
				info.Name, info.Version, info.APIVersion, info.Runtime, info.Runtimes, info.CgroupVersion, info.StorageDriver, info.CPUs, info.MemoryBytes>>20)
			return err
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing when it answers; the exit code tells")
	return cmd
}

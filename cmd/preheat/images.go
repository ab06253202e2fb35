package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/preheat/preheat/sandbox/images"
)

func newImages() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Make and list the languages' images",
		Long: `The images are made from the official slim images where a registry answers, else
from a Debian root that mmdebstrap makes on this machine. Both have the same layout.
The agent and the warm-up code are baked in. With the driver docker the Engine has
them; with oci they are folders in --data, copied from an Engine that has them.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImagesBuild(), newImagesList())
	return cmd
}

func newImagesBuild() *cobra.Command {
	common := defaultOptions()
	var o images.Options
	var base string
	cmd := &cobra.Command{
		Use:   "build [LANGUAGE ...]",
		Short: "Make the images that are missing or stale",
		Long: `Makes the images of the languages named, or of all, where they are missing or
made by another preheat. Where packages are fetched from is what pip, npm and the
proxies' variables say.`,
		Example: `  preheat images build
  preheat images build python --base debian --force`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Base = images.BaseKind(base)
			switch o.Base {
			case images.Auto, images.Registry, images.Debian:
			default:
				return usageError{fmt.Errorf("--base is %q; want auto, registry or debian", base)}
			}
			folders, err := selectFolders(common.languageFolders, args)
			if err != nil {
				return err
			}
			k, err := common.kind(cmd.Context(), os.Getenv)
			if err != nil {
				return err
			}
			built, err := common.buildImages(cmd.Context(), k, folders, o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return printImages(cmd, built)
		},
	}
	cmd.Flags().StringVar(&base, "base", string(images.Auto), "where a root comes from: auto, registry or debian")
	cmd.Flags().BoolVar(&o.Force, "force", false, "make fresh images again, and their roots too")
	common.share(cmd.Flags(), "driver", "data", "language-folders")
	cmd.ValidArgsFunction = completeLanguages(common)
	completeFlags(cmd, common)
	return cmd
}

func newImagesList() *cobra.Command {
	common := defaultOptions()
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the images and whether they are fresh",
		Long:  "Lists the languages' images: fresh, stale (made by another preheat) or missing.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folders, err := selectFolders(common.languageFolders, nil)
			if err != nil {
				return err
			}
			k, err := common.kind(cmd.Context(), os.Getenv)
			if err != nil {
				return err
			}
			found, err := common.listImages(cmd.Context(), k, folders)
			if err != nil {
				return err
			}
			return printImages(cmd, found)
		},
	}
	common.share(cmd.Flags(), "driver", "data", "language-folders")
	completeFlags(cmd, common)
	return cmd
}

func printImages(cmd *cobra.Command, list []images.Image) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LANGUAGE\tVERSION\tIMAGE\tSIZE\tHASH\tBASE\tCREATED\tSTATE")
	for _, i := range list {
		size, created := "", ""
		if i.Freshness != images.Missing {
			size, created = units.HumanSize(float64(i.Size)), i.Created.Local().Format(time.DateTime)
		}
		row := []string{i.Language, i.Version, i.Ref, size, i.Hash[:min(12, len(i.Hash))], string(i.Base), created, string(i.Freshness)}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

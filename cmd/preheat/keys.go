package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat/preheat/keys"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Say who may use the server, and how much",
		Long: `A server needs no key until the first one is added; then every request needs one,
as "Authorization: Bearer KEY" or "X-API-Key: KEY". A running server sees a
change within a second. What is kept of a key is a hash: the key itself is shown
once.

A server that had a key asks for one until it is started again, also when the
last one is removed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysAdd(), newKeysList(), newKeysRemove())
	return cmd
}

// keysCommand adds what the commands below keys share.
func keysCommand(cmd *cobra.Command) (*cobra.Command, *options) {
	o := defaultOptions()
	cmd.Flags().SortFlags = false
	o.share(cmd.Flags(), "data")
	return cmd, o
}

func newKeysAdd() *cobra.Command {
	var limits keys.Limits
	var expires time.Duration
	cmd, o := keysCommand(&cobra.Command{
		Use:   "add NAME",
		Short: "Make a key and print it, this once",
		Long: `Makes a key and prints it to standard output, this once; all else goes to
standard error. The name, of letters, digits and . _ -, is what the history and
the metrics tell of the key. A limit that is not given does not bound the key.`,
		Example: `  KEY=$(preheat keys add ci)
  preheat keys add school --rate 5 --burst 10 --concurrent 4 --daily 1000 --languages python --expires 720h`,
		Args: usageArgs(cobra.ExactArgs(1)),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if expires < 0 {
			return usageError{errors.New("--expires must be positive")}
		}
		if expires > 0 {
			limits.Expires = time.Now().UTC().Add(expires).Truncate(time.Second)
		}
		if err := limits.Validate(); err != nil {
			return usageError{err}
		}
		return addKey(cmd, o, args[0], limits)
	}
	about(cmd.Flags(), "Limits (on the command line only)", func(f *pflag.FlagSet) {
		f.Float64Var(&limits.Rate, "rate", 0, "runs a second, on average")
		f.IntVar(&limits.Burst, "burst", 0, "runs that may start at once after a rest (default: --rate)")
		f.IntVar(&limits.Concurrent, "concurrent", 0, "runs at once, those that wait included")
		f.IntVar(&limits.Daily, "daily", 0, "runs of one day, UTC, on each server")
		f.StringSliceVar(&limits.Languages, "languages", nil, "languages that it may run (default: all)")
		f.DurationVar(&expires, "expires", 0, "how long it is good for, as 720h")
		hereOnly(f)
	})
	o.share(cmd.Flags(), "language-folders")
	completeFlags(cmd, o)
	return cmd
}

func addKey(cmd *cobra.Command, o *options, name string, limits keys.Limits) error {
	if err := o.validateData(); err != nil {
		return usageError{err}
	}
	if _, err := selectFolders(o.languageFolders, limits.Languages); err != nil {
		return err
	}
	secret, err := keys.Add(o.keysFile(), name, limits)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The key %s is in %s. It is shown only now:\n", name, o.keysFile())
	_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
	return err
}

func newKeysList() *cobra.Command {
	cmd, o := keysCommand(&cobra.Command{
		Use:   "list",
		Short: "List the keys and their limits",
		Long:  "Lists the keys and their limits. A dash is no limit.",
		Args:  noArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.validateData(); err != nil {
			return usageError{err}
		}
		list, err := keys.List(o.keysFile())
		if err != nil {
			return err
		}
		return printKeys(cmd.OutOrStdout(), list, time.Now())
	}
	return cmd
}

func newKeysRemove() *cobra.Command {
	cmd, o := keysCommand(&cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a key",
		Long:    "Removes a key. Runs that it was used for go on; the server asks for a key from then on, too.",
		Example: "  preheat keys remove ci",
		Args:    usageArgs(cobra.ExactArgs(1)),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.validateData(); err != nil {
			return usageError{err}
		}
		if err := keys.Remove(o.keysFile(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "The key %s is removed.\n", args[0])
		return nil
	}
	cmd.ValidArgsFunction = completeKeys(o)
	return cmd
}

func printKeys(w io.Writer, list []keys.Key, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tCREATED\tEXPIRES\tRATE\tBURST\tCONCURRENT\tDAILY\tLANGUAGES")
	for _, k := range list {
		l := k.Limits
		expires := "-"
		if !l.Expires.IsZero() {
			expires = l.Expires.Local().Format(time.DateTime)
			if !l.Expires.After(now) {
				expires += " (over)"
			}
		}
		row := []string{
			k.Name, k.Created.Local().Format(time.DateTime), expires,
			orDash(l.Rate), orDash(l.Burst), orDash(l.Concurrent), orDash(l.Daily), orDash(strings.Join(l.Languages, ",")),
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// orDash writes a limit, and a dash for none.
func orDash[T comparable](v T) string {
	if v == *new(T) {
		return "-"
	}
	return fmt.Sprint(v)
}

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func newHealth() *cobra.Command {
	o := defaultOptions()
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the server on this machine whether it is ready",
		Long: `Asks the server at --addr whether it is ready, within five seconds, and prints
nothing. The exit code is 0 when it is, and 1 otherwise. It is for the health
checks of containers, where there is no curl.`,
		Example: `  preheat health --addr 127.0.0.1:8000`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return healthy(cmd.Context(), o.addr)
		},
	}
	o.share(cmd.Flags(), "addr")
	return cmd
}

// healthy asks the server that listens on addr.
func healthy(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usageError{fmt.Errorf("--addr: %w", err)}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", r.URL, resp.Status)
	}
	return nil
}

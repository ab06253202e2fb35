package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/preheat/preheat/deploy/socketproxy"
)

func newSocketProxy() *cobra.Command {
	var listen, engine string
	var allowed []string
	cmd := &cobra.Command{
		Use:   "socket-proxy",
		Short: "Pass on to the engine only what a server needs of it",
		Long: `Listens on a socket and passes on to the engine's the calls that preheat serve
makes: launch sandboxes of preheat's images with preheat's lock-down, talk to
them, remove them. All else is refused and logged. A server that has only this
socket, in DOCKER_HOST, cannot take the machine over, though it be taken over.

Images cannot be made through it: run ` + "`preheat images build`" + ` first, with the
engine's own socket. Both must be the same version of preheat.`,
		Example: `  preheat socket-proxy --listen unix:///run/preheat/docker.sock
  DOCKER_HOST=unix:///run/preheat/docker.sock preheat serve`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			socket, ok := strings.CutPrefix(engine, "unix://")
			if !ok {
				return usageError{errors.New("--engine: want unix:// and a path")}
			}
			proxy := socketproxy.New(socketproxy.Config{Engine: socket, Runtimes: allowed, Logger: log})
			return proxySocket(cmd.Context(), proxy, listen, log)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "unix:///run/preheat/docker.sock", "`socket` to listen on, for this user and group")
	cmd.Flags().StringVar(&engine, "engine", "unix:///var/run/docker.sock", "the engine's `socket`")
	cmd.Flags().StringSliceVar(&allowed, "runtimes", []string{"runc", "runsc"}, "OCI runtimes that sandboxes may name")
	hereOnly(cmd.Flags())
	return cmd
}

// proxySocket serves until ctx ends.
func proxySocket(ctx context.Context, proxy *socketproxy.Proxy, listen string, log *slog.Logger) error {
	path, ok := strings.CutPrefix(listen, "unix://")
	if !ok {
		return usageError{errors.New("--listen: want unix:// and a path")}
	}
	if err := removeStale(ctx, path); err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer ln.Close()
	if err := os.Chmod(path, 0o660); err != nil {
		return err
	}
	log.Info("serving", "socket", listen)
	return proxy.Serve(ctx, ln)
}

// removeStale removes a socket that a proxy left which was killed.
func removeStale(ctx context.Context, path string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s: somebody listens there already", path)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return nil // the listener says what is wrong with it
	}
	return os.Remove(path)
}

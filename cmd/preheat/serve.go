package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/metrics"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/images"
	"github.com/preheat/preheat/sandbox/languages"
	"github.com/preheat/preheat/web"
)

func newServe() *cobra.Command {
	o := defaultOptions()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the HTTP API and the page",
		Long: `Keeps warm sandboxes of every language and runs what is posted to /run.

Images that are missing or stale are made first. What an earlier server of the
same instance left behind is removed before the first request. SIGTERM and
SIGINT stop it: /readyz says draining, after --drain-delay there are no new runs,
those under way may finish within --grace, then every sandbox is destroyed. A
second signal ends it at once. SIGHUP reads the config file and the keys again
and applies pool, max-sandboxes, queue and log-level; no run notices.

No key is needed until ` + "`preheat keys add`" + ` makes one. Without one, only this machine
may reach the server, unless --allow-remote says otherwise. Every setting can also
stand in the environment and in a config file; see ` + "`preheat config --help`" + `.`,
		Example: `  preheat serve
  preheat serve --pool python=8,node=4 --timeout 5s --memory 256m
  curl -s -X POST http://127.0.0.1:5000/run -H 'Content-Type: application/json' -d '{"code":"print(2 + 2)"}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), o, cmd.Flags(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().SortFlags = false
	o.register(cmd.Flags())
	completeFlags(cmd, o)
	return cmd
}

// serve runs the server until ctx ends. Its clean-ups run last-in first-out,
// also when a later step fails.
func serve(ctx context.Context, o *options, flags *pflag.FlagSet, stderr io.Writer) (err error) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // from the start: it would end the process
	defer signal.Stop(hup)
	log, level := o.logger(stderr)
	cfg := o.httpConfig(log)
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	ring, err := o.openKeys(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	// Bound before anything is reaped: whoever holds the address also holds
	// the instance's sandboxes.
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w; --addr takes another address", err)
	}
	defer ln.Close()
	store, err := o.openHistory(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHistory(ctx, store)) }()
	k, err := o.kind(ctx, os.Getenv)
	if err != nil {
		return err
	}
	m := metrics.New(version, k.words)
	watch, err := o.observers(m, k.words.LaunchReason, log)
	if err != nil {
		return err
	}
	defer watch.end()
	engine, err := openEngine(k, o.instanceName(ln.Addr()), m.Called, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	info, err := engine.check(ctx)
	if err != nil {
		return err
	}
	log.Info("engine", "driver", info.Name, "version", info.Version, "cgroup", info.CgroupVersion, "runtime", info.Runtime)
	p, err := o.newPool(ctx, engine, info, m, watch.pool, log, stderr)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, closePool(ctx, p))
		log.Info("stopped")
	}()
	leaks := &audit{found: engine.Sandboxes, known: p.Sandboxes, tell: m.Audited, log: log}
	defer leaks.start(max(auditPause, o.limits.Warmup))()
	m.Engine(info, p.Languages())
	m.Watch(p.Stats)
	m.WatchKeys(ring.Stats)
	if store != nil {
		m.WatchHistory(store.Stats)
	}
	cfg.Pool, cfg.Engine, cfg.Metrics, cfg.Keys, cfg.History, cfg.Hooks = p, info, m.Handler(), ring, store, watch.server
	cfg.Check = func(ctx context.Context) error {
		_, err := engine.Check(ctx)
		return err
	}
	server, err := httpapi.New(cfg)
	if err != nil {
		return err
	}
	r := &reloader{options: o, flags: flags, engine: engine, pool: p, keys: ring, audit: watch.audit, level: level, log: log}
	return o.listen(ctx, server, ln, hup, r)
}

// newPool makes sure that the engine can serve, removes what an earlier server
// left, and starts the pool.
func (o *options) newPool(ctx context.Context, engine *engine, info sandbox.EngineInfo, m *metrics.Metrics, hooks pool.Hooks, log *slog.Logger, progress io.Writer) (*pool.Pool, error) {
	if err := o.checkRuntimes(ctx, engine, log); err != nil {
		return nil, err
	}
	members, err := o.members(ctx, engine, info, log, progress)
	if err != nil {
		return nil, err
	}
	reaped, err := engine.Reap(ctx)
	m.Reaped(reaped)
	if err != nil {
		return nil, err
	}
	if reaped > 0 {
		log.Info("removed what an earlier server left", "sandboxes", reaped)
	}
	return pool.New(engine, o.poolConfig(members, hooks, log))
}

// listen serves until ctx ends, and then as long as runs need to finish.
func (o *options) listen(ctx context.Context, server *httpapi.Server, ln net.Listener, hup <-chan os.Signal, r *reloader) error {
	served := make(chan error, 1)
	go func() { served <- server.Listener(ln) }()
	r.log.Info("serving", "url", "http://"+ln.Addr().String(), "version", version)
	s := newSystemd(os.Getenv, r.log)
	defer s.Close()
	s.tell(notifyReady)
	for ctx.Err() == nil {
		select {
		case err := <-served:
			return err
		case <-hup:
			s.reloading()
			r.reload(ctx)
			s.tell(notifyReady)
		case <-ctx.Done():
		}
	}
	s.tell(notifyStopping)
	server.Drain()
	r.log.Info("stopping; runs under way may finish", "drain_delay", o.drainDelay, "grace", o.grace)
	select {
	case err := <-served:
		return err
	case <-time.After(o.drainDelay):
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.grace)
	defer cancel()
	err := server.Shutdown(ctx)
	return errors.Join(err, <-served)
}

// closePool destroys every sandbox. By now no request holds one.
func closePool(ctx context.Context, p *pool.Pool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return p.Close(ctx)
}

// members returns the languages with their images and pool sizes.
func (o *options) members(ctx context.Context, engine *engine, info sandbox.EngineInfo, log *slog.Logger, progress io.Writer) ([]pool.Member, error) {
	folders, err := selectFolders(o.languageFolders, o.languages)
	if err != nil {
		return nil, err
	}
	built, err := o.makeImages(ctx, engine, folders, progress)
	if err != nil {
		return nil, err
	}
	return o.fit(o.sized(folders, built), info, log)
}

// fit checks the languages that the pool sizes name, and lowers the sizes to fit
// the engine's memory.
func (o *options) fit(members []pool.Member, engine sandbox.EngineInfo, log *slog.Logger) ([]pool.Member, error) {
	for name := range o.pool {
		if _, err := selectFolders(o.languageFolders, []string{name}); err != nil {
			return nil, err
		}
	}
	fitted := pool.FitMemory(members, engine.MemoryBytes)
	for i, m := range fitted {
		if m.Size < members[i].Size {
			log.Warn("the pool is smaller than asked for, to fit the engine's memory",
				"language", m.Language.Name, "size", m.Size, "asked", members[i].Size)
		}
	}
	return fitted, nil
}

// sized returns the languages with the pool sizes that were asked for.
func (o *options) sized(folders []languages.Folder, found []images.Image) []pool.Member {
	members := make([]pool.Member, len(folders))
	for i, f := range folders {
		members[i] = pool.Member{Language: language(f, found[i], o.runtime.name(f.Manifest.Name), o.limits), Size: o.size(f)}
	}
	return members
}

// size is how many warm sandboxes of a language are asked for.
func (o *options) size(f languages.Folder) int {
	if size, ok := o.pool[f.Manifest.Name]; ok {
		return size
	}
	return f.Manifest.Pool
}

func (o *options) poolConfig(members []pool.Member, hooks pool.Hooks, log *slog.Logger) pool.Config {
	return pool.Config{
		Languages:   members,
		MaxLive:     o.maxSandboxes,
		Launches:    o.launches,
		Queue:       o.queue,
		RefillDelay: o.refillDelay,
		Hooks:       hooks,
		Logger:      log,
	}
}

// httpConfig has the settings, and none of what the server works with.
func (o *options) httpConfig(log *slog.Logger) httpapi.Config {
	return httpapi.Config{
		Page:             web.Mount,
		Version:          version,
		Logger:           log,
		RunLog:           o.runLog,
		MaxCodeChars:     o.maxCode,
		MaxBodyBytes:     int(o.maxBody),
		MaxUnpackedBytes: o.maxUnpacked,
		MaxCollectFiles:  o.collectFiles,
		MaxCollectBytes:  o.collectBytes,
		MaxTests:         o.maxTests,
		MaxAsync:         o.maxAsync,
		OutputBytes:      int(o.outputBytes),
		MaxOutputBytes:   int(o.maxOutputBytes),
		FloodBytes:       cmp.Or(o.floodBytes, -1), // zero would be the default
		Timeout:          o.timeout,
		MaxTimeout:       o.maxTimeout,
		MaxMemoryBytes:   o.maxMemory,
		QueueTimeout:     o.queueTimeout,
		AllowedHosts:     o.allowedHosts,
	}
}

// instanceName is the one given, or the machine's name and the address.
func (o *options) instanceName(addr net.Addr) string {
	if o.instance != "" {
		return o.instance
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%s", host, addr)
}

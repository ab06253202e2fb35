package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/preheat/preheat/sandbox"
)

// options are the flags of serve.
type options struct {
	addr         string
	allowRemote  bool
	allowedHosts []string
	instance     string
	grace        time.Duration
	logFormat    string
	logLevel     string

	languages    []string
	pool         map[string]int
	maxSandboxes int
	launches     int
	refillDelay  time.Duration
	queue        int
	queueTimeout time.Duration

	runtime     runtimes
	limits      sandbox.Limits
	timeout     time.Duration
	maxTimeout  time.Duration
	maxCode     int
	maxBody     int64
	outputBytes int64
	floodBytes  int64
}

func defaultOptions() *options {
	return &options{
		addr:         "127.0.0.1:5000",
		grace:        15 * time.Second,
		logFormat:    "text",
		logLevel:     "info",
		refillDelay:  50 * time.Millisecond,
		queue:        32,
		queueTimeout: 10 * time.Second,
		limits:       sandbox.DefaultLimits(),
		timeout:      10 * time.Second,
		maxCode:      5000,
		maxBody:      1 << 20,
		outputBytes:  64 << 10,
		floodBytes:   64 << 20,
	}
}

func (o *options) register(f *pflag.FlagSet) {
	f.StringVar(&o.addr, "addr", o.addr, "address to listen on, host:port")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "listen on an address that other machines reach; whoever reaches it can run code")
	f.StringSliceVar(&o.allowedHosts, "allowed-hosts", nil, "Host headers to accept beside the loopback names, as name or name:port")
	f.StringVar(&o.instance, "instance", "", "name of this server among those on the same engine (default: machine and address)")
	f.DurationVar(&o.grace, "grace", o.grace, "how long runs under way may take to finish after a signal")
	f.StringVar(&o.logFormat, "log-format", o.logFormat, "text or json")
	f.StringVar(&o.logLevel, "log-level", o.logLevel, "debug, info, warn or error")

	f.StringSliceVar(&o.languages, "languages", nil, "languages to serve (default: all)")
	f.StringToIntVar(&o.pool, "pool", nil, "warm sandboxes per language, as python=8,node=4; 0 launches on demand (default: each language's own, python=4,node=2)")
	f.IntVar(&o.maxSandboxes, "max-sandboxes", 0, "sandboxes of all languages that may exist at once (default: twice the pool, and the launches)")
	f.IntVar(&o.launches, "launches", 0, "launches under way at once (default: the number of processors)")
	f.DurationVar(&o.refillDelay, "refill-delay", o.refillDelay, "how long after a hand-over the replacement is launched, if the run has not ended before")
	f.IntVar(&o.queue, "queue", o.queue, "requests that may wait for a sandbox, per language; -1 for none")
	f.DurationVar(&o.queueTimeout, "queue-timeout", o.queueTimeout, "how long a request may wait for a sandbox")

	f.Var(&o.runtime, "runtime", "OCI runtime of the sandboxes, such as runsc, or one per language, as python=runsc,node=runc (default: the engine's)")
	sizeVar(f, &o.limits.MemoryBytes, "memory", "memory and swap of a sandbox")
	f.Float64Var(&o.limits.CPUs, "cpus", o.limits.CPUs, "processors of a sandbox")
	f.Int64Var(&o.limits.Pids, "pids", o.limits.Pids, "processes and threads of a sandbox")
	f.Int64Var(&o.limits.OpenFiles, "open-files", o.limits.OpenFiles, "open files of one process")
	sizeVar(f, &o.limits.WorkBytes, "work-size", "size of the work folder; counts as memory")
	f.Int64Var(&o.limits.WorkFiles, "work-files", o.limits.WorkFiles, "files in the work folder")
	sizeVar(f, &o.limits.ShmBytes, "shm-size", "size of /dev/shm; counts as memory")
	f.DurationVar(&o.limits.Warmup, "warmup-timeout", o.limits.Warmup, "how long a launch may take")

	f.DurationVar(&o.timeout, "timeout", o.timeout, "wall time of a run that names none")
	f.DurationVar(&o.maxTimeout, "max-timeout", 0, "most that a request may name (default: --timeout)")
	f.IntVar(&o.maxCode, "max-code", o.maxCode, "characters of the field code")
	sizeVar(f, &o.maxBody, "max-body", "size of a request's body")
	sizeVar(f, &o.outputBytes, "output-bytes", "kept of each of stdout and stderr; the rest is thrown away")
	sizeVar(f, &o.floodBytes, "flood-bytes", "printed in all before a run is ended; 0 for no bound")
}

func (o *options) validate() error {
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	if !o.allowRemote && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("--addr %s is reachable from other machines, and there are no keys: whoever reaches it can run code; say --allow-remote if that is meant", o.addr)
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return errors.New("--log-format: want text or json")
	}
	if err := new(slog.LevelVar).UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	if o.maxBody < 1 || o.outputBytes < 1 || o.maxCode < 1 {
		return errors.New("--max-body, --output-bytes and --max-code must be positive")
	}
	if o.floodBytes == 0 {
		o.floodBytes = -1
	}
	return o.limits.Validate()
}

func (o *options) logger(w io.Writer) *slog.Logger {
	var level slog.LevelVar
	level.UnmarshalText([]byte(o.logLevel)) // checked by validate
	h := &slog.HandlerOptions{Level: &level}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

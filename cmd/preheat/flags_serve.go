package main

import (
	"github.com/spf13/pflag"
)

// Annotations of flags.
const (
	subjectNote = "preheat_subject" // what the flag is about, a heading in the help
	inFileNote  = "preheat_file"    // it can stand in the config file
	hereNote    = "preheat_here"    // it has no twin in the environment
)

// about gives the flags that add makes a heading in the help.
func about(f *pflag.FlagSet, subject string, add func(*pflag.FlagSet)) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	add(set)
	set.VisitAll(func(flag *pflag.Flag) {
		note(flag, subjectNote, subject)
		f.AddFlag(flag)
	})
}

// hereOnly takes the flags' twins in the environment away: they are about one
// call, and may have a name that serve gives a meaning.
func hereOnly(f *pflag.FlagSet) {
	f.VisitAll(func(flag *pflag.Flag) { note(flag, hereNote, "yes") })
}

func note(f *pflag.Flag, key, value string) {
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[key] = []string{value}
}

// register adds the flags of serve, in the order of the help. Each can stand in
// the config file.
func (o *options) register(f *pflag.FlagSet) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	all.SortFlags = false
	about(all, "Server", o.serverFlags)
	about(all, "Keys and history", o.dataFlags)
	about(all, "Languages and pool", o.poolFlags)
	about(all, "Sandboxes", o.sandboxFlags)
	about(all, "Requests", o.requestFlags)
	all.VisitAll(func(flag *pflag.Flag) {
		note(flag, inFileNote, "yes")
		f.AddFlag(flag)
	})
}

// share adds those flags of serve that are named.
func (o *options) share(f *pflag.FlagSet, names ...string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(all)
	for _, name := range names {
		f.AddFlag(all.Lookup(name))
	}
}

func (o *options) serverFlags(f *pflag.FlagSet) {
	f.StringVar(&o.addr, "addr", o.addr, "address to listen on, `host:port`; other machines may reach it once there is a key")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "let other machines reach it without a key; whoever does can run code")
	f.StringSliceVar(&o.allowedHosts, "allowed-hosts", nil, "Host headers to accept beside the loopback names, as `name` or name:port")
	f.StringVar(&o.instance, "instance", "", "`name` of this server among those on the same engine (default: machine and address)")
	f.DurationVar(&o.grace, "grace", o.grace, "how long runs under way may take to finish after a signal")
	f.DurationVar(&o.drainDelay, "drain-delay", o.drainDelay, "how long /readyz says draining after a signal, and runs are still taken, before connections are refused; 5s behind a balancer")
	f.StringVar(&o.logFormat, "log-format", o.logFormat, "text or json")
	f.StringVar(&o.logLevel, "log-level", o.logLevel, "debug, info, warn or error")
	f.BoolVar(&o.runLog, "run-log", o.runLog, "log a line for every run, at info: how it ended and how long it took, never code or output")
	f.StringVar(&o.auditLog, "audit-log", "", "`file` to which every run adds a line of JSON: whose it was, and the SHA-256 of each of its files; SIGHUP opens it anew")
	f.StringVar(&o.otlpEndpoint, "otlp-endpoint", "", "`URL` of an OpenTelemetry collector to send traces to, by OTLP over HTTP, as http://localhost:4318")
}

func (o *options) dataFlags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "data", o.data, "`folder` of keys, history and, with the driver oci, images; made when it is needed; a user's is in $XDG_STATE_HOME or ~/.local/state, root's in /var/lib")
	f.BoolVar(&o.history, "history", o.history, "keep the latest runs, for GET /runs; one server at a time can have the folder's history")
	f.IntVar(&o.historyRuns, "history-runs", o.historyRuns, "runs to keep")
	f.DurationVar(&o.historyAge, "history-age", o.historyAge, "how long to keep a run")
	sizeVar(f, &o.historyBytes, "history-size", "what the runs kept may take on the disk")
}

func (o *options) poolFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.languages, "languages", nil, "languages to serve (default: all)")
	f.StringVar(&o.languageFolders, "language-folders", "", "`folder` of languages of your own")
	f.StringToIntVar(&o.pool, "pool", nil, "warm sandboxes per language, as `python=8,node=4`; 0 launches on demand (default: each language's own)")
	f.Lookup("pool").DefValue = "" // not [], which the help would show
	f.IntVar(&o.maxSandboxes, "max-sandboxes", 0, "sandboxes of all languages that may exist at once (default: twice the pool, and the launches)")
	f.IntVar(&o.launches, "launches", 0, "launches under way at once (default: the number of processors)")
	f.DurationVar(&o.refillDelay, "refill-delay", o.refillDelay, "how long after a hand-over the replacement is launched, if the run has not ended before")
	f.IntVar(&o.queue, "queue", o.queue, "requests that may wait for a sandbox, per language; -1 for none")
	f.DurationVar(&o.queueTimeout, "queue-timeout", o.queueTimeout, "how long a request may wait for a sandbox")
}

func (o *options) sandboxFlags(f *pflag.FlagSet) {
	f.StringVar(&o.driver, "driver", o.driver, "what makes the sandboxes: docker, a Docker Engine; oci, an OCI runtime (crun or runc) without a daemon; auto, docker if an Engine answers or DOCKER_HOST names one, else oci")
	f.Var(&o.runtime, "runtime", "OCI runtime of the sandboxes, such as runsc, or one per language, as python=runsc,node=runc (default: the engine's, or crun, else runc)")
	sizeVar(f, &o.limits.MemoryBytes, "memory", "memory and swap of a sandbox")
	f.Float64Var(&o.limits.CPUs, "cpus", o.limits.CPUs, "processors of a sandbox")
	f.Int64Var(&o.limits.Pids, "pids", o.limits.Pids, "processes and threads of a sandbox")
	f.Int64Var(&o.limits.OpenFiles, "open-files", o.limits.OpenFiles, "open files of one process")
	sizeVar(f, &o.limits.WorkBytes, "work-size", "size of the work folder; counts as memory")
	f.Int64Var(&o.limits.WorkFiles, "work-files", o.limits.WorkFiles, "files in the work folder")
	sizeVar(f, &o.limits.ShmBytes, "shm-size", "size of /dev/shm; counts as memory")
	f.DurationVar(&o.limits.Warmup, "warmup-timeout", o.limits.Warmup, "how long a launch may take")
}

func (o *options) requestFlags(f *pflag.FlagSet) {
	f.DurationVar(&o.timeout, "timeout", o.timeout, "wall time of a run that names none")
	f.DurationVar(&o.maxTimeout, "max-timeout", 0, "most that a request may name (default: --timeout)")
	sizeVar(f, &o.maxMemory, "max-memory", "most memory that a request may name (default: --memory)")
	f.IntVar(&o.maxCode, "max-code", o.maxCode, "characters of the field code")
	sizeVar(f, &o.maxBody, "max-body", "size of a request's body")
	sizeVar(f, &o.maxUnpacked, "max-unpacked", "what a ZIP archive may unpack to")
	sizeVar(f, &o.outputBytes, "output-bytes", "kept of each of stdout and stderr of a run that names nothing; the rest is thrown away")
	sizeVar(f, &o.maxOutputBytes, "max-output-bytes", "most that a request may name (default: 1m, or --output-bytes where that is more)")
	sizeVar(f, &o.floodBytes, "flood-bytes", "printed in all before a run is ended; 0 for no bound")
	f.IntVar(&o.collectFiles, "collect-files", o.collectFiles, "files that a run may return")
	sizeVar(f, &o.collectBytes, "collect-bytes", "what the files that a run returns may take together")
	f.IntVar(&o.maxTests, "max-tests", o.maxTests, "test cases of one request")
	f.IntVar(&o.maxAsync, "max-async", o.maxAsync, "runs of POST /runs that have not ended")
}

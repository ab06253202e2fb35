// Command bench measures preheat beside `docker run` and `docker exec`: one run,
// one machine, one Engine, the same images and flags. It prints a table.
//
// It starts the real server (`make build` and `make images` come first) as an
// instance of its own and stops it at the end. PREHEAT_ variables of the
// environment reach that server, so that PREHEAT_RUNTIME=runsc measures gVisor.
// What `docker run` is given is read off one of the server's own sandboxes.
//
// How it fails: exit code 1 and a sentence when something could not be measured,
// or the server left a container behind. A goal that is missed is a figure in
// the table, not a failure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

type options struct {
	server  string
	agent   string
	json    string
	rounds  int
	warm    int
	clients int
	sustain time.Duration
	rest    time.Duration
}

func main() { os.Exit(run(os.Args[1:])) }

// run is main with an exit code: 0 when it measured, 1 when it could not, 2 for
// a command line that cannot be understood.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/preheat", "the server's binary")
	f.StringVar(&o.agent, "agent", "cmd/preheat/embedded/preheat-agent", "the agent's binary; only its size is read")
	f.StringVar(&o.json, "json", "", "also write the figures to this file")
	f.IntVar(&o.rounds, "rounds", 10, "rounds per language; each has one docker exec and one docker run")
	f.IntVar(&o.warm, "warm", 4, "warm runs of a round")
	f.IntVar(&o.clients, "clients", 8, "clients of the sustained load")
	f.DurationVar(&o.sustain, "sustain", 20*time.Second, "length of the sustained load")
	f.DurationVar(&o.rest, "rest", 100*time.Millisecond, "rest before each of them, after the pool is full")
	err := f.Parse(args)
	if err == nil && (o.rounds < 1 || o.warm < 1 || o.clients < 1 || o.sustain <= 0) {
		err = errors.New("-rounds, -warm, -clients and -sustain must be positive")
		fmt.Fprintln(os.Stderr, err)
	}
	return o, err
}

// bench measures, writes and prints.
func bench(ctx context.Context, o options) error {
	d, err := newDocker()
	if err != nil {
		return err
	}
	r := report{When: time.Now().UTC().Truncate(time.Second)}
	if info, err := os.Stat(o.agent); err == nil {
		r.AgentFileBytes = info.Size()
	}
	if err := measure(ctx, o, d, &r); err != nil {
		return err
	}
	if r.Machine, err = d.machine(ctx, r.Languages[0].Runtime); err != nil {
		return err
	}
	r.Goals = goals(r.Languages)
	if o.json != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	return r.print(os.Stdout)
}

// measure fills r in. Whatever happens, the server is stopped and none of its
// containers, nor of bench's own, is left.
func measure(ctx context.Context, o options, d docker, r *report) (err error) {
	instance := fmt.Sprintf("bench-%d", os.Getpid())
	progress("starting the server")
	s, err := startServer(ctx, o.server, instance)
	if err != nil {
		return err
	}
	defer func() {
		progress("stopping the server")
		err = errors.Join(err, s.stop(), d.checkGone(context.WithoutCancel(ctx), instance))
	}()
	if r.Start, err = s.awaitStart(ctx); err != nil {
		return err
	}
	for _, h := range hellos {
		l, err := measureLanguage(ctx, o, s, d, h)
		if err != nil {
			return fmt.Errorf("%s: %w", h.language, err)
		}
		r.Languages = append(r.Languages, l)
	}
	r.ServerBytes = residentBytes(s.cmd.Process.Pid)
	progress("sustained load: %d clients for %s", o.clients, o.sustain)
	r.Sustained, err = s.sustain(ctx, o.clients, o.sustain)
	return err
}

// measureLanguage measures one language's hello. The cold ones are spread among
// the warm ones, so that whatever else the machine does weighs on all alike.
func measureLanguage(ctx context.Context, o options, s *server, d docker, h hello) (l languageFigures, err error) {
	l.Language = h.language
	model, err := idleSandbox(ctx, d, s.instance, &l)
	if err != nil {
		return l, err
	}
	c, err := newCold(d, h, model, "preheat.bench="+s.instance)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	if l.Differences, err = c.differences(ctx, model); err != nil {
		return l, err
	}
	if err := c.startIdle(ctx); err != nil {
		return l, err
	}
	var client, inside, run, exec []time.Duration
	steps := append(slices.Repeat([]step{{&client, func(ctx context.Context) (time.Duration, error) {
		a, took, err := s.run(ctx, h)
		inside = append(inside, time.Duration(a.Timing.Run*float64(time.Millisecond)))
		return took, err
	}}}, o.warm), step{&exec, c.exec}, step{&run, c.run})
	for i := range o.rounds {
		progress("%s: round %d of %d", h.language, i+1, o.rounds)
		for _, step := range steps {
			if err := s.awaitFull(ctx, o.rest); err != nil {
				return l, err
			}
			took, err := step.do(ctx)
			if err != nil {
				return l, err
			}
			*step.sample = append(*step.sample, took)
		}
	}
	l.Warm, l.WarmServer, l.DockerRun, l.DockerExec = summarize(client), summarize(inside), summarize(run), summarize(exec)
	l.RunRatio, l.ExecRatio = ratio(l.DockerRun.P50, l.Warm.P50), ratio(l.DockerExec.P50, l.Warm.P50)
	return l, nil
}

// step is one thing of a round, and where its time goes.
type step struct {
	sample *[]time.Duration
	do     func(context.Context) (time.Duration, error)
}

// idleSandbox inspects one of the server's sandboxes and weighs it.
func idleSandbox(ctx context.Context, d docker, instance string, l *languageFigures) (inspected, error) {
	ids, err := d.labelled(ctx, "preheat.instance="+instance, "preheat.language="+l.Language)
	if err != nil || len(ids) == 0 {
		return inspected{}, errors.Join(err, errors.New("no idle sandbox to learn the flags from"))
	}
	model, err := d.inspect(ctx, ids[0])
	if err != nil {
		return inspected{}, err
	}
	l.Runtime = model.HostConfig.Runtime
	l.AgentBytes, l.ShimBytes = residentBytes(model.State.Pid), residentBytes(parent(model.State.Pid))
	l.SandboxBytes, err = d.containerBytes(ctx, model.ID)
	return model, err
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

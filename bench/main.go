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
	server, agent, json   string
	rounds, warm, clients int
	sustain, rest         time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "bin/preheat", "the server's binary")
	flag.StringVar(&o.agent, "agent", "cmd/preheat/embedded/preheat-agent", "the agent's binary; only its size is read")
	flag.StringVar(&o.json, "json", "", "also write the figures to this file")
	flag.IntVar(&o.rounds, "rounds", 10, "rounds per language; each has one docker exec and one docker run")
	flag.IntVar(&o.warm, "warm", 4, "warm runs of a round")
	flag.IntVar(&o.clients, "clients", 8, "clients of the sustained load")
	flag.DurationVar(&o.sustain, "sustain", 20*time.Second, "length of the sustained load")
	flag.DurationVar(&o.rest, "rest", 100*time.Millisecond, "rest before each of them, after the pool is full")
	flag.Parse()
	if o.rounds < 1 || o.warm < 1 || o.clients < 1 || o.sustain <= 0 {
		fmt.Fprintln(os.Stderr, "bench: -rounds, -warm, -clients and -sustain must be positive")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := bench(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures, writes and prints.
func bench(ctx context.Context, o options) error {
	r := report{When: time.Now().UTC().Truncate(time.Second)}
	if info, err := os.Stat(o.agent); err == nil {
		r.AgentFileBytes = info.Size()
	}
	err := measure(ctx, o, &r)
	if err != nil {
		return err
	}
	if r.Machine, err = theMachine(ctx, r.Languages[0].Runtime); err != nil {
		return err
	}
	r.Goals = goals(r.Languages)
	if o.json != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err := errors.Join(err, os.WriteFile(o.json, append(b, '\n'), 0o644)); err != nil {
			return err
		}
	}
	return r.print(os.Stdout)
}

// measure fills r in. Whatever happens, the server is stopped and none of its
// containers, nor of bench's own, is left.
func measure(ctx context.Context, o options, r *report) (err error) {
	progress("starting the server")
	s, err := startServer(ctx, o.server, fmt.Sprintf("bench-%d", os.Getpid()))
	if err != nil {
		return err
	}
	defer func() {
		progress("stopping the server")
		err = errors.Join(err, s.stop(), checkGone(context.WithoutCancel(ctx), s.instance))
	}()
	if r.Start, err = s.awaitStart(ctx); err != nil {
		return err
	}
	for _, h := range hellos {
		l, err := measureLanguage(ctx, o, s, h)
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

// measureLanguage measures one language's hello, warm and cold.
func measureLanguage(ctx context.Context, o options, s *server, h hello) (l languageFigures, err error) {
	l.Language = h.language
	model, err := idleSandbox(ctx, s.instance, &l)
	if err != nil {
		return l, err
	}
	c, err := newCold(ctx, h, model, "preheat.bench="+s.instance)
	defer func() { err = errors.Join(err, c.close(ctx)) }()
	if err != nil {
		return l, err
	}
	if l.Differences, err = c.differences(ctx, model); err != nil {
		return l, err
	}
	var warm, inside, run, exec []time.Duration
	steps := append(slices.Repeat([]step{{&warm, func(ctx context.Context) (time.Duration, error) {
		took, in, err := s.run(ctx, h)
		inside = append(inside, in)
		return took, err
	}}}, o.warm), step{&exec, c.exec}, step{&run, c.run})
	for i := range o.rounds {
		progress("%s: round %d of %d", h.language, i+1, o.rounds)
		if err := round(ctx, steps, func() error { return s.awaitFull(ctx, o.rest) }); err != nil {
			return l, err
		}
	}
	l.Warm, l.WarmServer, l.DockerRun, l.DockerExec = summarize(warm), summarize(inside), summarize(run), summarize(exec)
	l.RunRatio, l.ExecRatio = l.DockerRun.P50/l.Warm.P50, l.DockerExec.P50/l.Warm.P50
	return l, nil
}

// step is one thing of a round, and where its time goes.
type step struct {
	sample *[]time.Duration
	do     func(context.Context) (time.Duration, error)
}

// round takes the steps' times in turn, so that whatever else the machine does
// weighs on all alike. It rests before each.
func round(ctx context.Context, steps []step, rest func() error) error {
	for _, step := range steps {
		if err := rest(); err != nil {
			return err
		}
		took, err := step.do(ctx)
		if err != nil {
			return err
		}
		*step.sample = append(*step.sample, took)
	}
	return nil
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Command bench measures the drivers side by side, and beside `docker run` and
// `docker exec`: one run, one machine, the same images and flags. It prints a
// table.
//
// It starts real servers (`make build` and the images come first) as instances
// of its own and stops them at the end; without the driver docker it needs no
// Engine. PREHEAT_ variables of the environment reach the servers, not what
// bench launches itself. What `docker run` is given is read off a sandbox.
//
// How it fails: exit code 1 and a sentence when something could not be measured,
// or a sandbox was left behind. A goal that is missed is a figure in the table,
// not a failure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	drivers, server, data, agent, json string
	rounds, warm, clients, pool        int
	sustain, cycles, rest              time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.drivers, "drivers", everyDriver(), "what to measure: docker and oci, each with or without :RUNTIME")
	flag.StringVar(&o.server, "server", "bin/preheat", "the server's binary")
	flag.StringVar(&o.data, "data", "bin/bench", "the servers' data folder, with the images of the driver oci")
	flag.StringVar(&o.agent, "agent", "cmd/preheat/embedded/preheat-agent", "the agent's binary; only its size is read")
	flag.StringVar(&o.json, "json", "", "also write the figures to this file")
	flag.IntVar(&o.rounds, "rounds", 8, "rounds per language; each has the warm runs, one docker exec and one docker run")
	flag.IntVar(&o.warm, "warm", 5, "warm runs of a round, per driver")
	flag.IntVar(&o.clients, "clients", 8, "clients of the sustained load")
	flag.IntVar(&o.pool, "pool", 50, "sandboxes of the large pool")
	flag.DurationVar(&o.sustain, "sustain", 8*time.Second, "length of the sustained load, per driver")
	flag.DurationVar(&o.cycles, "cycles", 2500*time.Millisecond, "length of the full cycles, per driver and number of workers")
	flag.DurationVar(&o.rest, "rest", 100*time.Millisecond, "rest before each run, after the pools are full")
	flag.Parse()
	subjects, err := parseSubjects(o.drivers)
	if err == nil && (min(o.rounds, o.warm, o.clients) < 1 || o.pool < 2 || min(o.sustain, o.cycles) <= 0) {
		err = errors.New("-rounds, -warm, -clients, -sustain and -cycles must be positive, -pool at least 2")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err = bench(ctx, o, subjects)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures, writes and prints. What was left behind is an error after that.
func bench(ctx context.Context, o options, subjects []*subject) error {
	r := report{When: time.Now().UTC().Truncate(time.Second), Kernel: kernel()}
	if info, err := os.Stat(o.agent); err == nil {
		r.AgentFileBytes = info.Size()
	}
	err := measure(ctx, o, subjects)
	var left error
	for _, s := range subjects {
		r.Drivers, left = append(r.Drivers, s.figures), errors.Join(left, s.left)
	}
	if err != nil {
		return errors.Join(err, left)
	}
	r.compare()
	if o.json != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err := errors.Join(err, os.WriteFile(o.json, append(b, '\n'), 0o644)); err != nil {
			return err
		}
	}
	return errors.Join(r.print(os.Stdout), left)
}

// measure fills in the subjects' figures. Whatever happens, the servers are
// stopped and nothing is left. Each is started and loaded alone; warm runs and
// full cycles take turns.
func measure(ctx context.Context, o options, subjects []*subject) (err error) {
	for _, s := range subjects {
		defer func() { err = errors.Join(err, s.close(ctx)) }()
		if err := s.open(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", s.title, err)
		}
	}
	each := func(what string, do func(*subject) error) func() error {
		return func() error {
			for _, s := range subjects {
				progress("%s: %s", s.title, what)
				if err := do(s); err != nil {
					return fmt.Errorf("%s: %w", s.title, err)
				}
			}
			return nil
		}
	}
	steps := []func() error{
		each("start", func(s *subject) error { return s.start(ctx, o) }),
		func() error { return measureWarm(ctx, o, subjects) },
		each("sustained load", func(s *subject) error { return s.sustain(ctx, o) }),
		each("stop", func(s *subject) error { return s.stop(ctx) }),
	}
	for _, workers := range []int{2, 3, 4} {
		steps = append(steps, each(fmt.Sprintf("full cycles, %d workers", workers), func(s *subject) error { return s.cycles(ctx, o, workers) }))
	}
	steps = append(steps, each(fmt.Sprintf("a pool of %d", o.pool), func(s *subject) error { return s.fill(ctx, o) }))
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// kernel is its release.
func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease") // not on other systems
	return string(text[:max(0, len(text)-1)])
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

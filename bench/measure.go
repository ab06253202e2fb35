package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// start starts the server.
func (s *subject) start(ctx context.Context, o options) (err error) {
	if err := s.serve(ctx, o); err != nil {
		return err
	}
	if s.figures.Start.Ready, err = s.server.awaitReady(ctx); err != nil {
		return err
	}
	s.figures.Start.Full, err = s.server.awaitFull(ctx)
	return err
}

// step is one thing of a round, and where its time goes.
type step struct {
	sample *[]time.Duration
	do     func(context.Context) (time.Duration, error)
}

// samples are what is measured of one subject's hello.
type samples struct {
	warm, inside, run, exec []time.Duration
	cold                    *cold // nil but for Docker
}

// steps are those of one round.
func (m *samples) steps(s *subject, h hello, warm int) []step {
	steps := slices.Repeat([]step{{&m.warm, func(ctx context.Context) (time.Duration, error) {
		took, in, err := s.server.run(ctx, h)
		m.inside = append(m.inside, in)
		return took, err
	}}}, warm)
	if m.cold != nil {
		steps = append(steps, step{&m.exec, m.cold.exec}, step{&m.run, m.cold.run})
	}
	return steps
}

// measureWarm measures the hellos with all subjects in turn, so that whatever
// else the machine does weighs on all alike.
func measureWarm(ctx context.Context, o options, subjects []*subject) error {
	rest := func() error {
		for _, s := range subjects {
			if _, err := s.server.awaitFull(ctx); err != nil {
				return err
			}
		}
		time.Sleep(o.rest)
		return nil
	}
	for _, h := range hellos {
		if err := measureHello(ctx, o, subjects, h, rest); err != nil {
			return fmt.Errorf("%s: %w", h.language, err)
		}
	}
	for _, s := range subjects {
		s.figures.ServerBytes = residentBytes(s.server.cmd.Process.Pid)
	}
	return nil
}

func measureHello(ctx context.Context, o options, subjects []*subject, h hello, rest func() error) (err error) {
	var steps []step
	all := make([]samples, len(subjects))
	for i, s := range subjects {
		l := languageFigures{Language: h.language}
		all[i].cold, err = s.prepare(ctx, h, &l)
		if c := all[i].cold; c != nil {
			defer func() { err = errors.Join(err, c.close(ctx)) }()
		}
		if err != nil {
			return err
		}
		s.figures.Languages = append(s.figures.Languages, l)
		steps = append(steps, all[i].steps(s, h, o.warm)...)
	}
	for i := range o.rounds {
		progress("%s: round %d of %d", h.language, i+1, o.rounds)
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
	}
	for i, s := range subjects {
		l, m := &s.figures.Languages[len(s.figures.Languages)-1], all[i]
		l.Warm, l.WarmServer, l.DockerRun, l.DockerExec = summarize(m.warm), summarize(m.inside), summarize(m.run), summarize(m.exec)
	}
	return nil
}

// prepare weighs an idle sandbox and, with Docker, makes what is to be compared
// with it.
func (s *subject) prepare(ctx context.Context, h hello, l *languageFigures) (c *cold, err error) {
	err = s.idle(ctx, h.language, func(id string) (err error) {
		if l.Idle, err = weigh([]string{id}); err != nil || s.name != "docker" {
			return err
		}
		model, err := inspect(ctx, id)
		if err != nil {
			return err
		}
		if c, err = newCold(ctx, h, model, "preheat.bench="+s.instance); err != nil {
			return err
		}
		l.Differences, err = c.differences(ctx, model)
		return err
	})
	return c, err
}

// sustain has clients post Python's hello.
func (s *subject) sustain(ctx context.Context, o options) (err error) {
	s.figures.Sustained, err = load(ctx, o.clients, o.sustain, func() (time.Duration, error) {
		took, _, err := s.server.run(ctx, hellos[0])
		return took, err
	})
	return err
}

// cycles has workers launch sandboxes, run Python's hello and destroy them, with
// the driver alone.
func (s *subject) cycles(ctx context.Context, o options, workers int) error {
	f, err := load(ctx, workers, o.cycles, func() (time.Duration, error) { return s.cycle(ctx, hellos[0]) })
	s.figures.Cycles = append(s.figures.Cycles, f)
	return err
}

// fill starts a server with a large pool and weighs what that adds to the first
// sandbox.
func (s *subject) fill(ctx context.Context, o options) error {
	python, f := hellos[0].language, &s.figures.Large
	if err := s.serve(ctx, o, "--languages", python, "--pool", fmt.Sprintf("%s=%d", python, o.pool)); err != nil {
		return err
	}
	if _, err := s.server.awaitReady(ctx); err != nil {
		return err
	}
	pid := s.server.cmd.Process.Pid
	server, machine := residentBytes(pid), availableBytes()
	var err error
	if f.Full, err = s.server.awaitFull(ctx); err != nil {
		return err
	}
	time.Sleep(time.Second) // the interpreters come to rest
	ids, err := s.sandboxes(ctx)
	if err != nil {
		return err
	}
	if f.weight, err = weigh(ids); err != nil {
		return err
	}
	f.Sandboxes = len(ids)
	added := int64(max(1, len(ids)-1)) // the machine may hold fewer than asked for
	f.Server, f.Machine = max(0, residentBytes(pid)-server)/added, (machine-availableBytes())/added
	f.Together = f.Cgroup + f.Beside + f.Server
	err = s.stop(ctx)
	if _, gone := weigh(ids); gone == nil {
		s.left = errors.Join(s.left, fmt.Errorf("processes of %s were left behind", ids))
	}
	return err
}

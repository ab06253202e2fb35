package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// maxAttempts bounds the sandboxes that one program may try: one that died
// while idle has not started it.
const maxAttempts = 3

// task is one accepted program on its way.
type task struct {
	id       string // of the run; unique
	arrived  time.Time
	caller   caller
	request  request
	language sandbox.Language
	program  sandbox.Program
}

// watcher is told of a run while it goes on. The calls are serial; no call may
// block.
type watcher interface {
	waits(place *ticket)          // for a sandbox
	started(waited time.Duration) // the program is handed over
	sandbox.Output
}

// execute runs t in the first warm sandbox that takes it and returns the answer,
// or an error when nothing is known of the program: preheat or the engine
// failed, or ctx ended. w may be nil.
func (s *Server) execute(ctx context.Context, t task, w watcher) (answer runAnswer, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
	}()
	if s.life.Err() != nil { // what follows learns of it a moment later
		return runAnswer{}, errDraining
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	queue, leave := context.WithTimeout(ctx, s.cfg.QueueTimeout)
	defer leave()
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		run, err := s.attempt(ctx, queue, t, w)
		waited += run.waited
		switch {
		case err == nil:
			run.waited = waited
			s.recent.add(run.result.Duration)
			return newRunAnswer(t, run), nil
		case context.Cause(s.life) != nil:
			return runAnswer{}, errors.Join(errDraining, err)
		case !errors.Is(err, sandbox.ErrDead) || attempt == maxAttempts:
			return runAnswer{}, s.failed(t.language.Name, err)
		}
	}
}

// ran is what there is to tell of a program that ran.
type ran struct {
	result sandbox.Result
	output sandbox.Capture
	waited time.Duration
}

func (s *Server) attempt(ctx, queue context.Context, t task, w watcher) (*ran, error) {
	place := s.line.join(t.language.Name)
	if w != nil {
		w.waits(place)
	}
	lease, err := s.pool.Acquire(queue, t.language.Name)
	place.leave()
	if err != nil {
		return &ran{}, err
	}
	defer lease.Close()
	r := &ran{waited: lease.Waited()}
	var out sandbox.Output = &r.output
	if w != nil {
		w.started(r.waited)
		out = tee{&r.output, w}
	}
	ctx, cancel := context.WithTimeout(ctx, t.program.Timeout+s.cfg.Grace)
	defer cancel()
	r.result, err = lease.Run(ctx, t.program, out)
	return r, err
}

// tee gives what is printed to both.
type tee [2]sandbox.Output

func (t tee) Stdout(p []byte) { t[0].Stdout(p); t[1].Stdout(p) }
func (t tee) Stderr(p []byte) { t[0].Stderr(p); t[1].Stderr(p) }

// failed makes of an error of the pool or the driver what the client is told.
func (s *Server) failed(language string, err error) *Error {
	if errors.Is(err, pool.ErrNoSandbox) {
		err = errors.Join(err, s.launchError(language))
	}
	e := asError(err)
	e.RetryAfter = s.pool.RetryAfter(language)
	return e
}

// launchError is why there may be no sandbox; nil when the latest launch
// succeeded.
func (s *Server) launchError(language string) error {
	for _, l := range s.pool.Stats().Languages {
		if l.Language == language {
			return l.LaunchError
		}
	}
	return nil
}

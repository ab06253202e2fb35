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
	id        string // of the run; unique
	requestID string // of the request that asked for it
	arrived   time.Time
	caller    caller
	request   request
	language  sandbox.Language
	program   sandbox.Program
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
func (s *Server) execute(ctx context.Context, t task, w watcher) (runAnswer, error) {
	return s.executePatiently(ctx, t, w, 0)
}

// executePatiently is execute, but asks again for so long while there is no
// sandbox.
func (s *Server) executePatiently(ctx context.Context, t task, w watcher, patience time.Duration) (answer runAnswer, err error) {
	r := &ran{}
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
		s.report(ctx, t, r, err)
	}()
	begin := time.Now()
	for {
		r, err = s.executeOnce(ctx, t, w)
		if err == nil {
			return newRunAnswer(t, r), nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != CodeQueueFull && e.Code != CodeNoSandbox || time.Since(begin) >= patience {
			return answer, err
		}
		select {
		case <-time.After(max(e.RetryAfter, 100*time.Millisecond)):
		case <-ctx.Done():
			return answer, err
		case <-s.life.Done():
			return answer, errDraining
		}
	}
}

// executeOnce tells of the last sandbox that it tried, also with an error.
func (s *Server) executeOnce(ctx context.Context, t task, w watcher) (*ran, error) {
	if s.life.Err() != nil { // what follows learns of it a moment later
		return &ran{}, errDraining
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
		run.waited = waited
		switch {
		case err == nil:
			s.recent.add(run.result.Duration)
			return run, nil
		case context.Cause(s.life) != nil:
			return run, errors.Join(errDraining, err)
		case !errors.Is(err, sandbox.ErrDead) || attempt == maxAttempts:
			return run, s.failed(t.language.Name, err)
		}
	}
}

// ran is what there is to tell of a program that ran.
type ran struct {
	result sandbox.Result
	output sandbox.Capture
	waited time.Duration
	leased time.Time // when the sandbox was granted
	ended  time.Time // when the run was over
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
	r := &ran{waited: lease.Waited(), leased: time.Now()}
	var out sandbox.Output = &r.output
	if w != nil {
		w.started(r.waited)
		out = tee{&r.output, w}
	}
	ctx, cancel := context.WithTimeout(ctx, t.program.Timeout+s.cfg.Grace)
	defer cancel()
	r.result, err = lease.Run(ctx, t.program, out)
	r.ended = time.Now()
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

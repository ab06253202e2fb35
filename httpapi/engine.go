package httpapi

import (
	"context"
	"time"
)

const (
	engineAnswerAge  = time.Second     // how long an answer of the engine counts
	engineAnswerTime = 2 * time.Second // how long the engine may take
)

// engineCheck asks the engine at most once at a time and once a second, however
// many ask it.
type engineCheck struct {
	check func(context.Context) error
	turn  chan struct{} // holds one token, for who may use what follows
	asked time.Time
	err   error
}

func newEngineCheck(check func(context.Context) error) *engineCheck {
	e := &engineCheck{check: check, turn: make(chan struct{}, 1)}
	e.turn <- struct{}{}
	return e
}

func (e *engineCheck) ask(ctx context.Context) error {
	if e.check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineAnswerTime)
	defer cancel()
	select {
	case <-e.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { e.turn <- struct{}{} }()
	if time.Since(e.asked) > engineAnswerAge {
		e.err = e.check(ctx)
		e.asked = time.Now()
	}
	return e.err
}

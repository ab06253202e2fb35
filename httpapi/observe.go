package httpapi

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/sandbox"
)

// Hooks observe a server. Each may be nil. They are called by several
// goroutines and should not block; they may keep what they are given.
type Hooks struct {
	// Answered is called for every request that is HTTP, when its answer could
	// be sent; of a stream, when that could begin. The route is the template of
	// its path, such as /runs/:id, and "other" where there is none; a method
	// that HTTP does not have is "other" too.
	Answered func(route, method string, code int, took time.Duration)

	// Ran is called after every run that was accepted.
	Ran func(Run)
}

const otherRoute = "other"

// Run is what there is to tell of a run, but for its output.
type Run struct {
	ID        string
	RequestID string
	Language  string
	Key       string // name of the key; empty where none is needed
	Status    string // how the program ended; else "cancelled", or the code of what failed
	Failed    bool   // nothing is known of the program
	Arrived   time.Time
	Total     time.Duration // since it arrived

	// Files are the program's. They are as secret as the client wants them to
	// be: good for a hash, and not to be kept.
	Files []sandbox.File

	// Of the sandbox that took the program; zero where there was none.
	Leased  time.Time     // when it was granted
	Queue   time.Duration // waiting for it
	Resize  time.Duration // giving it the memory asked for
	Ended   time.Time     // when the run was over
	Program time.Duration // from the hand-over to the program's end
}

// report tells the log and the hook of a run that is over. Its context is the
// caller's, who may have given it up.
func (s *Server) report(ctx context.Context, t task, r *ran, err error) {
	if s.cfg.Hooks.Ran == nil && !s.cfg.RunLog {
		return
	}
	run := Run{
		ID: t.id, RequestID: t.requestID, Language: t.language.Name, Key: t.caller.name(),
		Status: string(r.result.Status), Failed: err != nil, Arrived: t.arrived, Total: time.Since(t.arrived),
		Files: t.program.Files, Leased: r.leased, Queue: r.waited, Resize: r.result.Resized, Ended: r.ended, Program: r.result.Duration,
	}
	switch {
	case err != nil && ctx.Err() != nil && s.life.Err() == nil:
		run.Status = "cancelled"
	case err != nil:
		run.Status = string(asError(err).Code)
	}
	if s.cfg.RunLog {
		run.log(ctx, s.cfg.Logger)
	}
	if s.cfg.Hooks.Ran != nil {
		s.cfg.Hooks.Ran(run)
	}
}

func (r Run) log(ctx context.Context, log *slog.Logger) {
	log.LogAttrs(ctx, slog.LevelInfo, "run",
		slog.String("id", r.ID), slog.String("request_id", r.RequestID), slog.String("language", r.Language),
		slog.String("status", r.Status), slog.Float64("queue_ms", millis(r.Queue)), slog.Float64("run_ms", millis(r.Program)),
		slog.Float64("total_ms", millis(r.Total)), slog.String("key", r.Key))
}

// observed tells the hook of every request that reaches the routes.
func (s *Server) observed(c *fiber.Ctx) error {
	if s.cfg.Hooks.Answered == nil {
		return c.Next()
	}
	start, own := time.Now(), c.Route()
	if err := c.Next(); err != nil {
		if err := s.writeError(c, err); err != nil {
			return err
		}
	}
	route := otherRoute
	if found := c.Route(); found != own {
		route = found.Path
	}
	// The context's own string does not outlive the request.
	method := fiber.DefaultMethods[slices.Index(fiber.DefaultMethods, c.Method())]
	s.cfg.Hooks.Answered(route, method, c.Response().StatusCode(), time.Since(start))
	return nil
}

package httpapi

import (
	"context"
	"errors"
	"math"
	"mime"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// maxAttempts bounds the sandboxes that one request may try: one that died
// while idle has not started the program.
const maxAttempts = 3

type runAnswer struct {
	ID        string         `json:"id"` // the X-Request-Id
	Language  string         `json:"language"`
	Status    sandbox.Status `json:"status"`
	Stdout    string         `json:"stdout"` // what is not valid UTF-8 became U+FFFD
	Stderr    string         `json:"stderr"`
	ExitCode  int            `json:"exit_code"`
	Error     *string        `json:"error"` // null when the status is ok
	Truncated bool           `json:"truncated"`
	Timing    timingAnswer   `json:"timing"`
	Usage     usageAnswer    `json:"usage"`
}

// timingAnswer is in milliseconds, with a resolution of 0.1.
type timingAnswer struct {
	Queue float64 `json:"queue_ms"` // waiting for a warm sandbox
	Run   float64 `json:"run_ms"`   // from the hand-over to the end
	Total float64 `json:"total_ms"` // from the whole request's arrival
}

// usageAnswer has zero for what is not known, as of a program that was killed.
type usageAnswer struct {
	CPU         float64 `json:"cpu_ms"`
	MemoryBytes int64   `json:"memory_bytes"`
}

type outcome struct {
	result         sandbox.Result
	stdout, stderr string
	waited         time.Duration
}

func newBounds(cfg Config, languages []sandbox.Language) bounds {
	b := bounds{
		codeChars:   cfg.MaxCodeChars,
		timeout:     cfg.Timeout,
		maxTimeout:  cfg.MaxTimeout,
		outputBytes: cfg.OutputBytes,
		floodBytes:  cfg.FloodBytes,
		languages:   map[string]sandbox.Language{},
	}
	var names []string
	for _, l := range languages {
		names = append(names, l.Name)
		for _, name := range append([]string{l.Name}, l.Aliases...) {
			b.languages[name] = l
		}
	}
	b.languagesInWords = strings.Join(names, ", ")
	return b
}

// run is POST /run.
func (s *Server) run(c *fiber.Ctx) error {
	start := time.Now()
	if s.draining.Load() {
		return errDraining
	}
	if err := checkContent(c); err != nil {
		return err
	}
	r, err := decode(c.BodyRaw())
	if err != nil {
		return err
	}
	lang, program, err := s.bounds.program(r)
	if err != nil {
		return err
	}
	o, err := s.execute(lang.Name, program)
	if err != nil {
		if errors.Is(err, pool.ErrNoSandbox) {
			err = errors.Join(err, s.launchError(lang.Name))
		}
		e := asError(err)
		e.RetryAfter = s.pool.RetryAfter(lang.Name)
		return e
	}
	return writeJSON(c, fiber.StatusOK, runAnswer{
		ID:        requestID(c),
		Language:  lang.Name,
		Status:    o.result.Status,
		Stdout:    o.stdout,
		Stderr:    o.stderr,
		ExitCode:  o.result.ExitCode,
		Error:     errorSentence(o.result, program, lang.Limits),
		Truncated: o.result.Truncated,
		Timing:    timingAnswer{millis(o.waited), millis(o.result.Duration), millis(time.Since(start))},
		Usage:     usageAnswer{millis(o.result.Usage.CPU), o.result.Usage.MemoryBytes},
	})
}

// checkContent asks for plain JSON. A form or a text body is what a web page
// from elsewhere can send without asking, and an encoded one has no bound.
func checkContent(c *fiber.Ctx) error {
	if kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); err != nil || kind != fiber.MIMEApplicationJSON {
		return refuse(CodeUnsupportedMedia, "The Content-Type must be application/json")
	}
	if c.Get(fiber.HeaderContentEncoding) != "" {
		return refuse(CodeUnsupportedMedia, "The body must not have a Content-Encoding")
	}
	return nil
}

// execute runs p in the first warm sandbox that takes it.
func (s *Server) execute(language string, p sandbox.Program) (outcome, error) {
	queue, cancel := context.WithTimeout(s.life, s.cfg.QueueTimeout)
	defer cancel()
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		o, err := s.attempt(queue, language, p)
		waited += o.waited
		if err != nil && context.Cause(s.life) != nil {
			return o, errors.Join(errDraining, err)
		}
		if !errors.Is(err, sandbox.ErrDead) || attempt == maxAttempts {
			o.waited = waited
			return o, err
		}
	}
}

func (s *Server) attempt(queue context.Context, language string, p sandbox.Program) (o outcome, err error) {
	lease, err := s.pool.Acquire(queue, language)
	if err != nil {
		return o, err
	}
	defer lease.Close()
	ctx, cancel := context.WithTimeout(s.life, p.Timeout+s.cfg.Grace)
	defer cancel()
	var out sandbox.Capture
	o.waited = lease.Waited()
	o.result, err = lease.Run(ctx, p, &out)
	o.stdout, o.stderr = out.Strings()
	return o, err
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

// millis gives d in milliseconds with one decimal.
func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*10) / 10
}

package httpapi

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

type languagesAnswer struct {
	Default   string           `json:"default"`
	Languages []languageAnswer `json:"languages"`
	Limits    requestLimits    `json:"limits"`
}

type languageAnswer struct {
	Name    string        `json:"name"`
	Aliases []string      `json:"aliases"`
	Version string        `json:"version"`
	Entry   string        `json:"entry"`
	Limits  sandboxLimits `json:"limits"`
}

type sandboxLimits struct {
	MemoryBytes int64   `json:"memory_bytes"`
	Pids        int64   `json:"pids"`
	CPUs        float64 `json:"cpus"`
	WorkBytes   int64   `json:"work_bytes"`
	WorkFiles   int64   `json:"work_files"`
	OpenFiles   int64   `json:"open_files"`
}

// requestLimits are those of a request, whatever its language.
type requestLimits struct {
	CodeChars    int   `json:"code_chars"`
	BodyBytes    int   `json:"body_bytes"`
	OutputBytes  int   `json:"output_bytes"`
	TimeoutMS    int64 `json:"timeout_ms"`
	MaxTimeoutMS int64 `json:"max_timeout_ms"`
}

// languages is GET /languages.
func (s *Server) languages(c *fiber.Ctx) error {
	answer := languagesAnswer{
		Default:   defaultLanguage,
		Languages: []languageAnswer{},
		Limits: requestLimits{
			CodeChars:    s.cfg.MaxCodeChars,
			BodyBytes:    s.cfg.MaxBodyBytes,
			OutputBytes:  s.cfg.OutputBytes,
			TimeoutMS:    s.cfg.Timeout.Milliseconds(),
			MaxTimeoutMS: s.cfg.MaxTimeout.Milliseconds(),
		},
	}
	for _, l := range s.pool.Languages() {
		answer.Languages = append(answer.Languages, newLanguageAnswer(l))
	}
	return writeJSON(c, fiber.StatusOK, answer)
}

func newLanguageAnswer(l sandbox.Language) languageAnswer {
	return languageAnswer{
		Name:    l.Name,
		Aliases: append([]string{}, l.Aliases...), // [] and never null
		Version: l.Version,
		Entry:   l.Entry,
		Limits: sandboxLimits{
			MemoryBytes: l.Limits.MemoryBytes,
			Pids:        l.Limits.Pids,
			CPUs:        l.Limits.CPUs,
			WorkBytes:   l.Limits.WorkBytes,
			WorkFiles:   l.Limits.WorkFiles,
			OpenFiles:   l.Limits.OpenFiles,
		},
	}
}

type healthAnswer struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// healthz is GET /healthz: the process lives.
func (s *Server) healthz(c *fiber.Ctx) error {
	return writeJSON(c, fiber.StatusOK, healthAnswer{"ok", s.cfg.Version})
}

type readyAnswer struct {
	Ready bool `json:"ready"`
}

// readyz is GET /readyz: the engine answers and the pool can serve every
// language. Its refusal says why, in the words of the latest launch: it is for
// operators.
func (s *Server) readyz(c *fiber.Ctx) error {
	if s.leaving.Load() || s.draining.Load() {
		return errDraining
	}
	if err := s.engine.ask(s.life); err != nil {
		return errors.Join(sandbox.ErrEngine, err)
	}
	if s.pool.Ready() {
		return writeJSON(c, fiber.StatusOK, readyAnswer{true})
	}
	for _, l := range s.pool.Stats().Languages {
		switch {
		case l.Size == 0 || l.Warm+l.Leased > 0:
		case l.LaunchError != nil:
			return refuse(CodeNoSandbox, "No sandbox of %s is warm: %v", l.Language, l.LaunchError)
		case l.Launched == 0:
			return refuse(CodeNoSandbox, "No sandbox of %s is warm yet", l.Language)
		}
	}
	return refuse(CodeNoSandbox, "The pool is not ready")
}

// engineAnswer says what makes the sandboxes.
type engineAnswer struct {
	Driver  string `json:"driver"`  // docker or oci
	Version string `json:"version"` // the engine's
}

func (s *Server) engineAnswer() engineAnswer {
	return engineAnswer{s.cfg.Engine.Name, s.cfg.Engine.Version}
}

type poolAnswer struct {
	Engine    engineAnswer      `json:"engine"`
	MaxLive   int               `json:"max_live"`
	Languages []languageFigures `json:"languages"`
	Totals    figures           `json:"totals"` // of all languages
}

type languageFigures struct {
	Language     string  `json:"language"`
	Runtime      string  `json:"runtime"`   // the OCI runtime of its sandboxes
	LaunchMillis float64 `json:"launch_ms"` // the latest launch that succeeded
	figures
}

// figures are sandboxes and requests now, then counts since the start.
type figures struct {
	Size       int `json:"size"`
	Warm       int `json:"warm"`
	Leased     int `json:"leased"`
	Launching  int `json:"launching"`
	Destroying int `json:"destroying"`
	Waiting    int `json:"waiting"`

	Launched         uint64 `json:"launched"`
	LaunchFailures   uint64 `json:"launch_failures"`
	Died             uint64 `json:"died"`
	Destroyed        uint64 `json:"destroyed"`
	DestroyFailures  uint64 `json:"destroy_failures"`
	RefusedQueueFull uint64 `json:"refused_queue_full"`
	RefusedNoSandbox uint64 `json:"refused_no_sandbox"`
	RefusedClosed    uint64 `json:"refused_closed"`
}

// poolStats is GET /pool.
func (s *Server) poolStats(c *fiber.Ctx) error {
	stats := s.pool.Stats()
	answer := poolAnswer{Engine: s.engineAnswer(), MaxLive: stats.MaxLive, Languages: []languageFigures{}}
	for _, l := range stats.Languages {
		f := figuresOf(l)
		answer.Languages = append(answer.Languages, languageFigures{l.Language, s.runtimes[l.Language], millis(l.LaunchTook), f})
		answer.Totals.add(f)
	}
	return writeJSON(c, fiber.StatusOK, answer)
}

func figuresOf(l pool.LanguageStats) figures {
	return figures{
		Size: l.Size, Warm: l.Warm, Leased: l.Leased, Launching: l.Launching, Destroying: l.Destroying, Waiting: l.Waiting,
		Launched: l.Launched, LaunchFailures: l.LaunchFailures,
		Died: l.Died, Destroyed: l.Destroyed, DestroyFailures: l.DestroyFailures,
		RefusedQueueFull: l.RefusedQueueFull, RefusedNoSandbox: l.RefusedNoSandbox, RefusedClosed: l.RefusedClosed,
	}
}

func (f *figures) add(o figures) {
	f.Size += o.Size
	f.Warm += o.Warm
	f.Leased += o.Leased
	f.Launching += o.Launching
	f.Destroying += o.Destroying
	f.Waiting += o.Waiting
	f.Launched += o.Launched
	f.LaunchFailures += o.LaunchFailures
	f.Died += o.Died
	f.Destroyed += o.Destroyed
	f.DestroyFailures += o.DestroyFailures
	f.RefusedQueueFull += o.RefusedQueueFull
	f.RefusedNoSandbox += o.RefusedNoSandbox
	f.RefusedClosed += o.RefusedClosed
}

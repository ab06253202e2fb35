// Package httpapi is preheat's HTTP server: it decodes and checks requests,
// leases a sandbox for each program, and writes the answers.
//
// Start at [New]. A program that ran is answered with 200, however it ended; a
// request that did not run is a 4xx or 5xx with a sentence and a stable [Code].
// Handlers return errors and one place writes them: what it does not know is
// logged with the request's id and shown without detail.
//
// A client that goes away is not noticed. A run is bounded by the server's own
// deadlines, and its sandbox is destroyed in every case.
package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/keys"
	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// errDraining ends what still runs when the time for a shutdown is over.
var errDraining = errors.New("httpapi: the server is shutting down")

// Config is what a server is made of. A zero field takes the default that its
// comment names.
type Config struct {
	Pool    *pool.Pool                  // required
	Check   func(context.Context) error // does the engine answer; nil: not asked
	Engine  sandbox.EngineInfo          // what it said at the start, shown by /pool
	Metrics http.Handler                // serves /metrics; nil: there is none
	Page    func(fiber.Router)          // mounts the page; nil: there is none
	Version string                      // of preheat, shown by /healthz
	Keys    *keys.Ring                  // who may use it; nil: everybody
	History *history.Store              // keeps the runs; nil: nothing does
	Logger  *slog.Logger                // nil: logs nothing
	RunLog  bool                        // logs a line for every run
	Hooks   Hooks                       // observe it

	MaxCodeChars int   // characters of the field code; 5,000
	MaxBodyBytes int   // bytes of a request's body; 1 MiB
	FloodBytes   int64 // printed in all before a run is ended; 64 MiB, negative: no bound

	MaxUnpackedBytes int64 // what a ZIP archive unpacks to; 8 MiB
	MaxCollectFiles  int   // files that a run returns; 32
	MaxCollectBytes  int64 // of their contents together; 4 MiB
	MaxTests         int   // test cases of one request; 50
	MaxAsync         int   // runs of POST /runs that have not ended; 100

	OutputBytes    int           // kept of each of stdout and stderr when the request names nothing; 64 KiB
	MaxOutputBytes int           // most that a request may name; 1 MiB, or OutputBytes where that is more
	Timeout        time.Duration // of a run that names none; 10 s
	MaxTimeout     time.Duration // most that a request may name; Timeout
	MaxMemoryBytes int64         // most that a request may name; the language's limit

	QueueTimeout time.Duration // waiting for a sandbox; 10 s
	Grace        time.Duration // beyond its timeout, until a run counts as lost; 5 s

	// AllowedHosts are Host headers to accept beside the loopback names, as
	// "name" or "name:port". The header is checked when the server listens on
	// a loopback address or this list is not empty.
	AllowedHosts []string

	ReadTimeout  time.Duration // from a request's first byte to its last; 10 s
	WriteTimeout time.Duration // writing an answer; 10 s
	IdleTimeout  time.Duration // between the requests of a connection; 60 s

	// Heartbeat is how long a stream may be silent before a comment is sent,
	// which keeps proxies from closing it and shows that the client is still
	// there; 5 s.
	Heartbeat time.Duration
}

func (c Config) withDefaults() Config {
	c.MaxCodeChars = cmp.Or(c.MaxCodeChars, 5000)
	c.MaxBodyBytes = cmp.Or(c.MaxBodyBytes, 1<<20)
	c.OutputBytes = cmp.Or(c.OutputBytes, 64<<10)
	c.MaxOutputBytes = cmp.Or(c.MaxOutputBytes, max(1<<20, c.OutputBytes))
	c.MaxUnpackedBytes = cmp.Or(c.MaxUnpackedBytes, 8<<20)
	c.MaxCollectFiles = cmp.Or(c.MaxCollectFiles, 32)
	c.MaxCollectBytes = cmp.Or(c.MaxCollectBytes, 4<<20)
	c.MaxTests = cmp.Or(c.MaxTests, 50)
	c.MaxAsync = cmp.Or(c.MaxAsync, 100)
	c.FloodBytes = max(0, cmp.Or(c.FloodBytes, 64<<20))
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.MaxTimeout = cmp.Or(c.MaxTimeout, c.Timeout)
	c.QueueTimeout = cmp.Or(c.QueueTimeout, 10*time.Second)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 10*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, time.Minute)
	c.Heartbeat = cmp.Or(c.Heartbeat, 5*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

// Validate reports the first setting that cannot work. Zero is the default and
// always works.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case min(c.MaxCodeChars, c.MaxBodyBytes, c.OutputBytes, c.MaxCollectFiles, c.MaxTests, c.MaxAsync) < 0,
		min(c.MaxUnpackedBytes, c.MaxCollectBytes, c.MaxMemoryBytes) < 0:
		return errors.New("httpapi: a limit is negative")
	case c.MaxOutputBytes < c.OutputBytes:
		return errors.New("httpapi: the most output that a request may name is below the default")
	case c.MaxBodyBytes < c.MaxCodeChars:
		return errors.New("httpapi: the body limit is below the code limit")
	case c.Timeout < time.Millisecond:
		return errors.New("httpapi: the timeout is below one millisecond")
	case c.MaxTimeout < c.Timeout:
		return errors.New("httpapi: the longest timeout is below the default one")
	case c.QueueTimeout < 0, c.Grace < 0, c.ReadTimeout < 0, c.WriteTimeout < 0, c.IdleTimeout < 0, c.Heartbeat < 0:
		return errors.New("httpapi: a time is negative")
	}
	return nil
}

// sandboxes is what the server needs of a pool.
type sandboxes interface {
	Acquire(ctx context.Context, language string) (lease, error)
	Ready() bool
	Stats() pool.Stats
	Languages() []sandbox.Language
	RetryAfter(language string) time.Duration
}

type lease interface {
	Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error)
	Waited() time.Duration
	Close()
}

type leasing struct{ *pool.Pool }

func (l leasing) Acquire(ctx context.Context, language string) (lease, error) {
	got, err := l.Pool.Acquire(ctx, language)
	if err != nil {
		return nil, err // not a nil *Lease in a non-nil interface
	}
	return got, nil
}

// Server answers HTTP on one listener. Its goroutines are those of Listener's
// connections; Shutdown waits for them.
type Server struct {
	cfg      Config
	pool     sandboxes
	runtimes map[string]string // OCI runtimes by language
	bounds   bounds
	engine   *engineCheck
	async    *asyncRuns
	line     line
	recent   recentRuns
	viewers  atomic.Int32   // of the pool's stream
	streams  sync.WaitGroup // runs and writers of streams, which may outlive their connection
	app      *fiber.App

	life      context.Context // of every run; ended by Shutdown
	end       context.CancelCauseFunc
	leaving   atomic.Bool // /readyz says draining
	draining  atomic.Bool // new work is refused
	checkHost bool        // written before the first request

	mu       sync.Mutex // guards listener
	listener *listener
}

// New makes a server that listens nowhere yet.
func New(cfg Config) (*Server, error) {
	if cfg.Pool == nil {
		return nil, errors.New("httpapi: there is no pool")
	}
	return newServer(cfg, leasing{cfg.Pool})
}

func newServer(cfg Config, p sandboxes) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	life, end := context.WithCancelCause(context.Background())
	s := &Server{cfg: cfg, pool: p, bounds: newBounds(cfg, p.Languages()), engine: newEngineCheck(cfg.Check), life: life, end: end}
	s.runtimes = map[string]string{}
	for _, l := range p.Languages() {
		s.runtimes[l.Name] = cmp.Or(l.Runtime, cfg.Engine.Runtime)
	}
	warm := 0
	for _, l := range p.Stats().Languages {
		warm += l.Size
	}
	s.async = newAsyncRuns(cfg.MaxAsync, max(1, warm))
	s.checkHost = len(cfg.AllowedHosts) > 0
	var err error
	if s.app, err = s.newApp(); err != nil {
		end(nil)
		return nil, err
	}
	return s, nil
}

// Listener serves connections of ln until Shutdown, and closes ln. It may be
// called once; after Shutdown it returns [net.ErrClosed].
func (s *Server) Listener(ln net.Listener) error {
	tracked := newListener(ln)
	if !s.start(tracked) {
		tracked.Close()
		return net.ErrClosed
	}
	return s.app.Listener(tracked)
}

func (s *Server) start(ln *listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() || s.listener != nil {
		return false
	}
	s.listener = ln
	s.checkHost = s.checkHost || isLoopback(ln.Addr())
	return true
}

// Drain makes /readyz say [CodeDraining], so that balancers send no more. Runs
// are still taken, until Shutdown.
func (s *Server) Drain() { s.leaving.Store(true) }

// Shutdown refuses new work with [CodeDraining] and waits for the requests in
// flight. When ctx ends first, it ends their runs, gives the answers a moment
// to leave, and returns ctx's error. The pool is the caller's to close, after.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	ln := s.listener
	s.mu.Unlock()
	defer s.end(errDraining)
	if ln == nil {
		return nil
	}

	// Closed here too: fasthttp does not know of it before it serves.
	ln.Close()
	ln.closeConns(false)

	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		s.end(errDraining)
		time.AfterFunc(lastAnswers, stop)
	})()
	if err := s.app.ShutdownWithContext(hard); err != nil {
		ln.closeConns(true)
	}
	s.streams.Wait()
	s.async.tasks.Wait()
	return ctx.Err()
}

// lastAnswers is how long the answers of runs that were cut off may take.
const lastAnswers = 2 * time.Second

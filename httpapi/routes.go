package httpapi

import (
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/valyala/fasthttp"
)

const readBufferBytes = 16 << 10 // bounds a request's headers

func (s *Server) newApp() (*fiber.App, error) {
	app := fiber.New(fiber.Config{
		AppName:                      "preheat",
		BodyLimit:                    s.cfg.MaxBodyBytes,
		ReadTimeout:                  s.cfg.ReadTimeout,
		WriteTimeout:                 s.cfg.WriteTimeout,
		IdleTimeout:                  s.cfg.IdleTimeout,
		ReadBufferSize:               readBufferBytes,
		ErrorHandler:                 s.writeError,
		CaseSensitive:                true,
		StrictRouting:                true,
		DisableStartupMessage:        true,
		DisablePreParseMultipartForm: true,
	})
	app.Use(s.observed, s.recovered, s.guarded)
	rows := s.routes()
	description, err := describe(s.cfg.Version, s.bounds, rows)
	if err != nil {
		return nil, err
	}
	rows = append(rows, route{method: fiber.MethodGet, path: "/openapi.json", open: true, handle: func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(description)
	}})
	for _, r := range rows {
		handle := r.handle
		if !r.open {
			handle = s.keyed(handle)
		}
		app.Add(r.method, r.path, handle)
		if r.method == fiber.MethodGet {
			app.Add(fiber.MethodHead, r.path, handle)
		}
	}
	if s.cfg.Page != nil {
		s.cfg.Page(app)
	}
	addOptions(app)
	app.Server().CloseOnShutdown = true
	app.Server().Handler = s.knownMethods(app, app.Server().Handler)
	return app, nil
}

// route is one row of the table of routes. One that is not described is not part
// of the API that clients program against.
type route struct {
	method, path string
	open         bool // needs no key
	handle       fiber.Handler
	doc          operation
}

func (s *Server) routes() []route {
	rows := []route{
		{fiber.MethodPost, "/run", false, s.run, operation{
			summary: "Run a program and wait for its end", body: request{}, form: true,
			answers: map[int]any{200: runAnswer{}}, refusals: ofRuns}},
		{fiber.MethodPost, "/run/stream", false, s.stream, operation{
			summary: "Run a program and see its output while it runs",
			detail: "Server-sent events: `queued` with the `position`, as long as no sandbox is warm, `started`, then `stdout` and `stderr` (`{\"text\": ...}`) as they are printed, a `file` for each " +
				"that was asked for, and last `result`, the object that /run answers, or `error`. A client that goes away ends the run.",
			body: request{}, form: true, answers: map[int]any{200: "text/event-stream"}, refusals: ofRuns}},
		{fiber.MethodPost, "/run/tests", false, s.tests, operation{
			summary: "Run a program with several inputs and judge its output",
			body:    testsRequest{}, answers: map[int]any{200: testsAnswer{}}, refusals: ofRuns}},
		{fiber.MethodPost, "/runs", false, s.startRun, operation{
			summary: "Start a run and do not wait", detail: "The Location header says where to ask for it.",
			body: request{}, form: true, answers: map[int]any{202: asyncAnswer{}}, refusals: ofRuns}},
		{fiber.MethodGet, "/runs", false, s.listRuns, operation{
			summary: "List the runs that are kept", params: listParams{}, answers: map[int]any{200: listAnswer{}}, refusals: []Code{CodeInvalidField, CodeNotFound}}},
		{fiber.MethodDelete, "/runs", false, s.deleteRuns, operation{
			summary: "Forget all runs that are kept", answers: map[int]any{200: deletedAnswer{}}, refusals: []Code{CodeNotFound}}},
		{fiber.MethodGet, "/runs/:id", false, s.getRun, operation{
			summary: "Ask for a run", params: runParams{}, answers: map[int]any{200: asyncAnswer{}}, refusals: []Code{CodeNotFound}}},
		{fiber.MethodDelete, "/runs/:id", false, s.deleteRun, operation{
			summary: "End a run that goes on, and forget it", params: runParams{}, answers: map[int]any{204: nil}, refusals: []Code{CodeNotFound}}},
		{fiber.MethodGet, "/languages", true, s.languages, operation{
			summary: "List the languages and the limits", answers: map[int]any{200: languagesAnswer{}}}},
		{fiber.MethodGet, "/pool", false, s.poolStats, operation{
			summary: "See the pool", answers: map[int]any{200: poolAnswer{}}}},
		{fiber.MethodGet, "/pool/stream", false, s.poolStream, operation{
			summary: "See the pool change", detail: "Server-sent events named `pool`, one for every change.",
			answers: map[int]any{200: "text/event-stream"}, refusals: []Code{CodeQueueFull, CodeDraining}}},
		{fiber.MethodGet, "/healthz", true, s.healthz, operation{
			summary: "Ask whether the process lives", answers: map[int]any{200: healthAnswer{}}}},
		{fiber.MethodGet, "/readyz", true, s.readyz, operation{
			summary: "Ask whether the engine answers and every language can be served", answers: map[int]any{200: readyAnswer{}},
			refusals: []Code{CodeNoSandbox, CodeEngineDown, CodeDraining}}},
	}
	if s.cfg.Metrics != nil {
		rows = append(rows, route{method: fiber.MethodGet, path: "/metrics", handle: adaptor.HTTPHandler(s.cfg.Metrics), doc: operation{
			summary: "Metrics for Prometheus", answers: map[int]any{200: "text/plain"}}})
	}
	return rows
}

// addOptions answers OPTIONS on every path with the methods it takes. There are
// no CORS headers: pages elsewhere are not to call this server.
func addOptions(app *fiber.App) {
	methods := map[string][]string{}
	for _, r := range app.GetRoutes(true) {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	for path, list := range methods {
		slices.Sort(list)
		allow := strings.Join(append(list, fiber.MethodOptions), ", ")
		app.Options(path, func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderAllow, allow)
			return c.SendStatus(fiber.StatusNoContent)
		})
	}
}

// knownMethods refuses what fiber would answer itself, in plain text.
func (s *Server) knownMethods(app *fiber.App, next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			next(ctx)
			return
		}
		c := app.AcquireCtx(ctx)
		defer app.ReleaseCtx(c)
		begin := time.Now()
		_ = s.writeError(c, refuse(CodeMethodNotAllowed, "This server does not know this method"))
		if s.cfg.Hooks.Answered != nil {
			s.cfg.Hooks.Answered(otherRoute, "other", c.Response().StatusCode(), time.Since(begin))
		}
	}
}

// recovered turns a panic into an internal error that carries its stack.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
	}()
	return c.Next()
}

func panicked(r any) error { return fmt.Errorf("panic: %v\n%s", r, debug.Stack()) }

// guarded sets what every answer has and refuses the requests that a web page
// from elsewhere made.
func (s *Server) guarded(c *fiber.Ctx) error {
	setCommonHeaders(c)
	// The raw header: c.Hostname() would believe X-Forwarded-Host.
	host := string(c.Request().Header.Host())
	if s.checkHost && !hostAllowed(host, s.cfg.AllowedHosts) {
		return refuse(CodeForbiddenHost, "This server does not answer to the host %s", quote(host))
	}
	if origin := c.Get(fiber.HeaderOrigin); origin != "" && !originAllowed(origin, host) {
		return refuse(CodeForbiddenOrigin, "Pages of another origin may not use this server")
	}
	return c.Next()
}

func setCommonHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXRequestID, requestID(c))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderCacheControl, "no-store") // the page's assets set their own
}

// requestID gives the id of the answer, or the client's, or a new one.
func requestID(c *fiber.Ctx) string {
	if id := c.GetRespHeader(fiber.HeaderXRequestID); id != "" {
		return strings.Clone(id)
	}
	if id := c.Get(fiber.HeaderXRequestID); validID(id) {
		return strings.Clone(id)
	}
	return rand.Text()
}

func validID(id string) bool {
	return 0 < len(id) && len(id) <= 64 && !strings.ContainsFunc(id, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		digit := '0' <= r && r <= '9'
		return !letter && !digit && r != '.' && r != '_' && r != '-'
	})
}

// writeJSON answers with JSON. Bytes that are not valid UTF-8 become U+FFFD.
func writeJSON(c *fiber.Ctx, status int, answer any) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetStatusCode(status)
	c.Response().SetBodyRaw(encodeJSON(answer))
	return nil
}

package httpapi

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/valyala/fasthttp"
)

const readBufferBytes = 16 << 10 // bounds a request's headers

func (s *Server) newApp() *fiber.App {
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
	app.Use(s.recovered, s.guarded)
	for _, r := range s.routes() {
		app.Add(r.method, r.path, r.handle)
		if r.method == fiber.MethodGet {
			app.Add(fiber.MethodHead, r.path, r.handle)
		}
	}
	if s.cfg.Page != nil {
		s.cfg.Page(app)
	}
	addOptions(app)
	app.Server().CloseOnShutdown = true
	app.Server().Handler = s.knownMethods(app, app.Server().Handler)
	return app
}

type route struct {
	method, path string
	handle       fiber.Handler
}

func (s *Server) routes() []route {
	rows := []route{
		{fiber.MethodPost, "/run", s.run},
		{fiber.MethodGet, "/languages", s.languages},
		{fiber.MethodGet, "/pool", s.poolStats},
		{fiber.MethodGet, "/healthz", s.healthz},
		{fiber.MethodGet, "/readyz", s.readyz},
	}
	if s.cfg.Metrics != nil {
		rows = append(rows, route{fiber.MethodGet, "/metrics", adaptor.HTTPHandler(s.cfg.Metrics)})
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
		_ = s.writeError(c, refuse(CodeMethodNotAllowed, "This server does not know this method"))
	}
}

// recovered turns a panic into an internal error that carries its stack.
func (s *Server) recovered(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return c.Next()
}

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

// writeJSON leaves <, > and & as they are: a program's output is not HTML. Bytes
// that are not valid UTF-8 become U+FFFD.
func writeJSON(c *fiber.Ctx, status int, answer any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetStatusCode(status)
	c.Response().SetBodyRaw(body.Bytes())
	return nil
}

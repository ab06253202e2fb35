package httpapi

import (
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/keys"
)

// caller is who asks: a key, or nobody in particular where none is needed.
type caller struct{ key *keys.Key }

func (c caller) name() string {
	if c.key == nil {
		return ""
	}
	return c.key.Name
}

// scope is whose runs the caller may see: its own, or all where no key is needed.
func (c caller) scope() history.Scope {
	return history.Scope{Key: c.name(), All: c.key == nil}
}

// callerLocal is where keyed leaves the caller for the handlers.
type callerLocal struct{}

func callerOf(c *fiber.Ctx) caller {
	who, _ := c.Locals(callerLocal{}).(caller)
	return who
}

// keyed lets only those in who have a key, once there is one.
func (s *Server) keyed(next fiber.Handler) fiber.Handler {
	if s.cfg.Keys == nil {
		return next
	}
	return func(c *fiber.Ctx) error {
		if s.cfg.Keys.Required() {
			key, err := s.cfg.Keys.Authenticate(secretOf(c))
			if err != nil {
				c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
				return refuse(CodeUnauthorized, "A valid key is needed, as Authorization: Bearer KEY or X-API-Key: KEY")
			}
			c.Locals(callerLocal{}, caller{key})
		}
		return next(c)
	}
}

func secretOf(c *fiber.Ctx) string {
	if scheme, secret, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	return c.Get("X-API-Key")
}

// refusedCodes are those of the keys' reasons.
var refusedCodes = map[keys.Reason]Code{
	keys.Unknown:    CodeUnauthorized,
	keys.Expired:    CodeUnauthorized,
	keys.Language:   CodeForbiddenKey,
	keys.Daily:      CodeQuotaUsed,
	keys.Concurrent: CodeTooManyRuns,
	keys.Rate:       CodeRateLimited,
}

// admit takes n runs from the caller's quota, of which atOnce are under way at a
// time. The function that it returns must be called once, when they have ended,
// with how many of them were carried out. Its error is *Error.
func (s *Server) admit(who caller, language string, n, atOnce int) (done func(ran int), err error) {
	if who.key == nil {
		return func(int) {}, nil
	}
	done, err = s.cfg.Keys.Begin(who.key, language, n, atOnce)
	if err == nil {
		return done, nil
	}
	refused, ok := errors.AsType[*keys.RefusedError](err)
	if !ok {
		return nil, err
	}
	code := refusedCodes[refused.Reason]
	if statusOf[code] == fiber.StatusTooManyRequests && refused.RetryAfter == 0 {
		code = CodeForbiddenKey // waiting does not help
	}
	e := refuse(code, "Refused: %v", refused)
	e.RetryAfter = refused.RetryAfter
	return nil, e
}

// ranOf is how many of n runs were carried out that ended with err.
func ranOf(n int, err error) int {
	if err != nil {
		return 0
	}
	return n
}

package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
)

// Code names a reason why a request was not answered as asked. It is stable:
// clients may switch on it.
type Code string

// The codes there are. Their statuses stand in the table below.
const (
	CodeBadJSON          Code = "bad_json"
	CodeInvalidField     Code = "invalid_field"
	CodeBadForm          Code = "bad_form"
	CodeBadArchive       Code = "bad_archive"
	CodeBadRequest       Code = "bad_request"
	CodeUnauthorized     Code = "unauthorized"
	CodeForbiddenKey     Code = "forbidden_key"
	CodeForbiddenHost    Code = "forbidden_host"
	CodeForbiddenOrigin  Code = "forbidden_origin"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeRequestTimeout   Code = "request_timeout"
	CodeBodyTooLarge     Code = "body_too_large"
	CodeCodeTooLong      Code = "code_too_long"
	CodeUnsupportedMedia Code = "unsupported_media_type"
	CodeUnknownLanguage  Code = "unknown_language"
	CodeCannotResize     Code = "cannot_resize"
	CodeQueueFull        Code = "queue_full"
	CodeRateLimited      Code = "rate_limited"
	CodeTooManyRuns      Code = "too_many_runs"
	CodeQuotaUsed        Code = "quota_used"
	CodeHeadersTooLarge  Code = "headers_too_large"
	CodeInternal         Code = "internal"
	CodeNoSandbox        Code = "no_sandbox"
	CodeDraining         Code = "draining"
	CodeEngineDown       Code = "engine_down"
)

var statusOf = map[Code]int{
	CodeBadJSON:          400,
	CodeInvalidField:     400,
	CodeBadForm:          400,
	CodeBadArchive:       400,
	CodeBadRequest:       400,
	CodeUnauthorized:     401,
	CodeForbiddenKey:     403,
	CodeForbiddenHost:    403,
	CodeForbiddenOrigin:  403,
	CodeNotFound:         404,
	CodeMethodNotAllowed: 405,
	CodeRequestTimeout:   408,
	CodeBodyTooLarge:     413,
	CodeCodeTooLong:      413,
	CodeUnsupportedMedia: 415,
	CodeUnknownLanguage:  422,
	CodeCannotResize:     422,
	CodeQueueFull:        429,
	CodeRateLimited:      429,
	CodeTooManyRuns:      429,
	CodeQuotaUsed:        429,
	CodeHeadersTooLarge:  431,
	CodeInternal:         500,
	CodeNoSandbox:        503,
	CodeDraining:         503,
	CodeEngineDown:       503,
}

// Error is a request that was refused, or failed on our side.
type Error struct {
	Code       Code
	Sentence   string        // for the client
	RetryAfter time.Duration // of a 429 or 503; zero takes one second
	Cause      error         // for the log only; may be nil
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Sentence)
}

func (e *Error) Unwrap() error { return e.Cause }

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Sentence: fmt.Sprintf(format, args...)}
}

// runErrors says how an error of the pool or the driver is answered. The first
// row that matches decides, so a cause stands above what it was wrapped in.
var runErrors = []struct {
	is       error
	code     Code
	sentence string
}{
	{errDraining, CodeDraining, "The server is shutting down"},
	{pool.ErrClosed, CodeDraining, "The server is shutting down"},
	{pool.ErrQueueFull, CodeQueueFull, "Too many requests are waiting for a sandbox"},
	{sandbox.ErrResize, CodeCannotResize, "Sandboxes of this language cannot be given another memory size; leave memory_mb out"},
	{sandbox.ErrEngine, CodeEngineDown, "The container engine does not answer"},
	{pool.ErrNoSandbox, CodeNoSandbox, "No sandbox became free in time"},
	{sandbox.ErrDead, CodeNoSandbox, "No sandbox lived long enough to start the program"},
}

// asError turns err into what the client is told. What it does not know is
// internal and shows no detail.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		return fromFiber(e)
	}
	for _, row := range runErrors {
		if errors.Is(err, row.is) {
			return &Error{Code: row.code, Sentence: row.sentence, Cause: err}
		}
	}
	return &Error{Code: CodeInternal, Sentence: "Something went wrong in the server; its log says what", Cause: err}
}

// fromFiber covers what fiber and fasthttp refuse before or beside a handler.
func fromFiber(e *fiber.Error) *Error {
	switch e.Code {
	case fiber.StatusNotFound:
		return refuse(CodeNotFound, "There is nothing at this path")
	case fiber.StatusMethodNotAllowed:
		return refuse(CodeMethodNotAllowed, "This path does not take this method")
	case fiber.StatusRequestTimeout:
		return refuse(CodeRequestTimeout, "The request did not arrive in time")
	case fiber.StatusRequestEntityTooLarge:
		return refuse(CodeBodyTooLarge, "The request body is too large")
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return refuse(CodeHeadersTooLarge, "The request headers are too large")
	}
	return refuse(CodeBadRequest, "The request is not valid HTTP")
}

type errorAnswer struct {
	Error string `json:"error" description:"A sentence for people."`
	Code  Code   `json:"code" description:"For programs; stable."`
}

// Enum lists the codes for the API's description.
func (Code) Enum() []any {
	var all []any
	for _, code := range slices.Sorted(maps.Keys(statusOf)) {
		all = append(all, code)
	}
	return all
}

// writeError is the app's one error handler.
func (s *Server) writeError(c *fiber.Ctx, err error) error {
	e := asError(err)
	status := statusOf[e.Code]
	setCommonHeaders(c)
	if status == fiber.StatusTooManyRequests || status == fiber.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, retryAfter(e.RetryAfter))
	}
	if e.Code == CodeBodyTooLarge || e.Code == CodeHeadersTooLarge {
		lingerOn(c.Context().Conn()) // fasthttp closes it after this answer
	}
	if status >= 500 {
		s.logFailure(requestID(c), err)
	}
	return writeJSON(c, status, errorAnswer{e.Sentence, e.Code})
}

func (s *Server) logFailure(id string, err error) {
	code := asError(err).Code
	s.cfg.Logger.LogAttrs(s.life, levelOf(code), "request failed",
		slog.String("request_id", id), slog.String("code", string(code)), slog.Any("error", err))
}

// levelOf keeps out of the log what happens with every request while there is
// too much to do or the engine is down; the pool tells of that once.
func levelOf(code Code) slog.Level {
	if code == CodeInternal {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// retryAfter gives d in whole seconds, rounded up, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
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
	CodeBadRequest       Code = "bad_request"
	CodeForbiddenHost    Code = "forbidden_host"
	CodeForbiddenOrigin  Code = "forbidden_origin"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeRequestTimeout   Code = "request_timeout"
	CodeBodyTooLarge     Code = "body_too_large"
	CodeCodeTooLong      Code = "code_too_long"
	CodeUnsupportedMedia Code = "unsupported_media_type"
	CodeUnknownLanguage  Code = "unknown_language"
	CodeQueueFull        Code = "queue_full"
	CodeHeadersTooLarge  Code = "headers_too_large"
	CodeInternal         Code = "internal"
	CodeNoSandbox        Code = "no_sandbox"
	CodeDraining         Code = "draining"
	CodeEngineDown       Code = "engine_down"
)

var statusOf = map[Code]int{
	CodeBadJSON:          400,
	CodeInvalidField:     400,
	CodeBadRequest:       400,
	CodeForbiddenHost:    403,
	CodeForbiddenOrigin:  403,
	CodeNotFound:         404,
	CodeMethodNotAllowed: 405,
	CodeRequestTimeout:   408,
	CodeBodyTooLarge:     413,
	CodeCodeTooLong:      413,
	CodeUnsupportedMedia: 415,
	CodeUnknownLanguage:  422,
	CodeQueueFull:        429,
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
	Error string `json:"error"`
	Code  Code   `json:"code"`
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
		s.cfg.Logger.LogAttrs(c.Context(), levelOf(e.Code), "request failed",
			slog.String("request_id", requestID(c)), slog.String("code", string(e.Code)), slog.Any("error", err))
	}
	return writeJSON(c, status, errorAnswer{e.Sentence, e.Code})
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

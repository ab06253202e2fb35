package httpapi

import (
	"crypto/rand"
	"mime"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// run is POST /run.
func (s *Server) run(c *fiber.Ctx) error {
	t, err := s.accept(c)
	if err != nil {
		return err
	}
	done, err := s.admit(t.caller, t.language.Name, 1, 1)
	if err != nil {
		return err
	}
	answer, err := s.execute(s.life, t, nil)
	done(ranOf(1, err))
	if err != nil {
		return err
	}
	s.record(t, answer)
	return writeJSON(c, fiber.StatusOK, answer)
}

// accept decodes and checks a request for one run.
func (s *Server) accept(c *fiber.Ctx) (task, error) {
	t := s.newTask(c)
	r, err := s.readRequest(c)
	if err != nil {
		return t, err
	}
	t.request = r
	t.language, t.program, err = s.bounds.program(r)
	return t, err
}

func (s *Server) newTask(c *fiber.Ctx) task {
	return task{id: runID(c), requestID: requestID(c), arrived: time.Now(), caller: callerOf(c)}
}

// readRequest takes JSON, or a form with files.
func (s *Server) readRequest(c *fiber.Ctx) (r request, err error) {
	if s.draining.Load() {
		return r, errDraining
	}
	kind, params, err := contentType(c)
	if err != nil {
		return r, err
	}
	if kind == fiber.MIMEMultipartForm {
		return readForm(c.BodyRaw(), params["boundary"], s.bounds.archive)
	}
	err = decode(c.BodyRaw(), &r)
	return r, err
}

// contentType refuses what is neither JSON nor a form with files. Text and
// other forms are what a web page from elsewhere can send without asking, and
// an encoded body has no bound.
func contentType(c *fiber.Ctx) (kind string, params map[string]string, err error) {
	kind, params, err = mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	switch {
	case err != nil || kind != fiber.MIMEApplicationJSON && kind != fiber.MIMEMultipartForm:
		return "", nil, refuse(CodeUnsupportedMedia, "The Content-Type must be application/json or multipart/form-data")
	case c.Get(fiber.HeaderContentEncoding) != "":
		return "", nil, refuse(CodeUnsupportedMedia, "The body must not have a Content-Encoding")
	}
	return kind, params, nil
}

// runID names a run. It is the request's id unless the client chose that, which
// need not be unique.
func runID(c *fiber.Ctx) string {
	if c.Get(fiber.HeaderXRequestID) == "" {
		return strings.Clone(c.GetRespHeader(fiber.HeaderXRequestID))
	}
	return rand.Text()
}

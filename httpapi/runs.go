package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/history"
	"github.com/preheat/preheat/sandbox"
)

type runParams struct {
	ID string `path:"id" description:"The run's id."`
}

// keptFileBytes is the most that the history keeps of the files of one run, as
// they stand in its answer; beyond that it only counts them.
const keptFileBytes = 2 << 20

// record keeps a run for the history.
func (s *Server) record(t task, answer runAnswer) {
	if s.cfg.History == nil {
		return
	}
	if answer.fileBytes() > keptFileBytes {
		answer.FilesOmitted += len(answer.Files)
		answer.Files = nil
	}
	s.cfg.History.Add(history.Run{
		ID:       t.id,
		Time:     t.arrived,
		Key:      t.caller.name(),
		Language: t.language.Name,
		Status:   answer.Status,
		ExitCode: answer.ExitCode,
		Duration: time.Duration(answer.Timing.Run * float64(time.Millisecond)),
		Code:     t.code(),
		Program:  encodeJSON(t.request.storable()),
		Answer:   encodeJSON(answer),
	})
}

// code is the text of the file that is run.
func (t task) code() string {
	entry := t.program.Entry
	if entry == "" {
		entry = t.language.Entry
	}
	for _, f := range t.program.Files {
		if f.Name == entry {
			return string(f.Content)
		}
	}
	return ""
}

// storable is r with all of its files in a form that JSON can hold.
func (r request) storable() request {
	files := make([]requestFile, len(r.Files))
	for i, f := range r.Files {
		switch {
		case f.raw != nil && utf8.Valid(f.raw):
			f.Content = string(f.raw)
		case f.raw != nil:
			f.Content, f.Encoding = base64.StdEncoding.EncodeToString(f.raw), "base64"
		}
		f.raw = nil
		files[i] = f
	}
	r.Files = files
	return r
}

// getRun is GET /runs/{id}.
func (s *Server) getRun(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	if answer, ok := s.async.get(callerOf(c), id); ok {
		return writeJSON(c, fiber.StatusOK, answer)
	}
	if s.cfg.History == nil {
		return errNoRun()
	}
	kept, err := s.cfg.History.Get(s.life, callerOf(c).scope(), id)
	if err != nil {
		return historyError(err)
	}
	answer := asyncAnswer{ID: kept.ID, State: finished, Created: kept.Time.UTC(), Request: new(request), Result: new(runAnswer)}
	if err := errors.Join(json.Unmarshal(kept.Program, answer.Request), json.Unmarshal(kept.Answer, answer.Result)); err != nil {
		return err
	}
	return writeJSON(c, fiber.StatusOK, answer)
}

// deleteRun is DELETE /runs/{id}.
func (s *Server) deleteRun(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	found := s.async.delete(callerOf(c), id)
	if s.cfg.History != nil {
		err := s.cfg.History.Delete(s.life, callerOf(c).scope(), id)
		if err != nil && !errors.Is(err, history.ErrNotFound) {
			return historyError(err)
		}
		found = found || err == nil
	}
	if !found {
		return errNoRun()
	}
	return c.SendStatus(fiber.StatusNoContent)
}

func errNoRun() *Error { return refuse(CodeNotFound, "There is no run with this id") }

func historyError(err error) error {
	switch {
	case errors.Is(err, history.ErrNotFound):
		return errNoRun()
	case errors.Is(err, history.ErrCursor):
		return refuse(CodeInvalidField, "The parameter before is not the next of a page")
	case errors.Is(err, history.ErrClosed):
		return errDraining
	}
	return err
}

// listParams are the query of GET /runs.
type listParams struct {
	Language string `query:"language" description:"Only runs of this language, by its name."`
	Status   string `query:"status" description:"Only runs that ended so." enum:"ok,error,timeout,out_of_memory,output_limit"`
	Since    string `query:"since" format:"date-time" description:"Only runs at or after this time."`
	Until    string `query:"until" format:"date-time" description:"Only runs before this time."`
	Text     string `query:"q" description:"Only runs with this text in their code."`
	Limit    string `query:"limit" pattern:"^[0-9]+$" description:"Runs at most; 20 when it is not given, 100 at most."`
	Before   string `query:"before" description:"The next of the page before."`
}

type listAnswer struct {
	Runs []listedRun `json:"runs" nullable:"false" description:"Newest first."`
	Next string      `json:"next,omitempty" description:"The parameter before of the next page, where there is one."`
}

type listedRun struct {
	ID       string         `json:"id"`
	Created  time.Time      `json:"created"`
	Key      string         `json:"key,omitempty" description:"The name of the key that asked for it."`
	Language string         `json:"language"`
	Status   sandbox.Status `json:"status"`
	ExitCode int            `json:"exit_code"`
	RunMS    float64        `json:"run_ms"`
	Code     string         `json:"code" description:"Its beginning."`
}

// listRuns is GET /runs.
func (s *Server) listRuns(c *fiber.Ctx) error {
	if s.cfg.History == nil {
		return errHistoryOff()
	}
	f, err := listFilter(c)
	if err != nil {
		return err
	}
	f.Scope = callerOf(c).scope()
	ctx, cancel := context.WithTimeout(s.life, s.cfg.QueueTimeout)
	defer cancel()
	page, err := s.cfg.History.List(ctx, f)
	if err != nil {
		return historyError(err)
	}
	answer := listAnswer{Runs: []listedRun{}, Next: page.Next}
	for _, r := range page.Runs {
		answer.Runs = append(answer.Runs, listedRun{r.ID, r.Time.UTC(), r.Key, r.Language, r.Status, r.ExitCode, millis(r.Duration), r.Code})
	}
	return writeJSON(c, fiber.StatusOK, answer)
}

func errHistoryOff() *Error { return refuse(CodeNotFound, "This server keeps no history") }

// listFilter reads the query. Its errors are *Error.
func listFilter(c *fiber.Ctx) (history.Filter, error) {
	var f history.Filter
	var err error
	c.Context().QueryArgs().VisitAll(func(name, value []byte) {
		if err == nil {
			err = setFilter(&f, string(name), string(value))
		}
	})
	return f, err
}

func setFilter(f *history.Filter, name, value string) error {
	var err error
	switch name {
	case "language":
		f.Language = value
	case "status":
		f.Status = sandbox.Status(value)
	case "since":
		f.Since, err = time.Parse(time.RFC3339, value)
	case "until":
		f.Until, err = time.Parse(time.RFC3339, value)
	case "q":
		f.Text = value
	case "limit":
		if f.Limit, err = strconv.Atoi(value); err == nil && (f.Limit < 1 || f.Limit > history.MaxLimit) {
			err = strconv.ErrRange
		}
	case "before":
		f.Before = value
	default:
		return refuse(CodeInvalidField, "There is no parameter %s", quote(name))
	}
	if err != nil || len(value) > maxParamBytes || !utf8.ValidString(value) {
		return refuse(CodeInvalidField, "The parameter %s is not valid: %s", name, quote(value))
	}
	return nil
}

const maxParamBytes = 256

type deletedAnswer struct {
	Deleted int `json:"deleted"`
}

// deleteRuns is DELETE /runs: all that the caller may see.
func (s *Server) deleteRuns(c *fiber.Ctx) error {
	if s.cfg.History == nil {
		return errHistoryOff()
	}
	n, err := s.cfg.History.DeleteAll(s.life, callerOf(c).scope())
	if err != nil {
		return historyError(err)
	}
	return writeJSON(c, fiber.StatusOK, deletedAnswer{n})
}

// encodeJSON encodes what is known to encode. It leaves <, > and & as they are:
// a program's output is not HTML.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

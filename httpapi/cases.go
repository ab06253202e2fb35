package httpapi

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/preheat/preheat/sandbox"
)

// testsRequest is the body of POST /run/tests: a program, and the cases that it
// is run with.
type testsRequest struct {
	request
	Tests         []testCase `json:"tests" required:"true" minItems:"1" description:"The cases; each is run in a sandbox of its own."`
	StopOnFailure bool       `json:"stop_on_failure" description:"Skip the cases after the first that fails."`
}

// testCase takes the place of the request's stdin and args.
type testCase struct {
	Stdin            string   `json:"stdin" description:"What the program reads."`
	Args             []string `json:"args" description:"What follows the entry file on the command line."`
	ExpectedStdout   *string  `json:"expected_stdout" description:"What it must print; white space at the end of a line, and of the whole, is no matter."`
	ExpectedExitCode *int     `json:"expected_exit_code" description:"How it must end." default:"0"`
}

// verdict is what became of a case.
type verdict string

const (
	passed  verdict = "passed"
	failed  verdict = "failed"  // another output or exit code than expected, or a status that is not ok
	skipped verdict = "skipped" // one before it failed, and the request said stop_on_failure
)

type testsAnswer struct {
	ID       string       `json:"id" description:"The request's own."`
	Language string       `json:"language"`
	Verdict  verdict      `json:"verdict" description:"passed when every case did."`
	Passed   int          `json:"passed" description:"How many cases passed."`
	Failed   int          `json:"failed"`
	Skipped  int          `json:"skipped"`
	Tests    []caseAnswer `json:"tests" description:"In the request's order."`
	TotalMS  float64      `json:"total_ms" description:"From the arrival of the whole request."`
}

type caseAnswer struct {
	Verdict verdict    `json:"verdict"`
	Reason  *string    `json:"reason,omitempty" description:"A sentence, unless it passed."`
	Run     *runAnswer `json:"run,omitempty" description:"Unless it was skipped."`
}

// Enum lists the verdicts for the API's description.
func (verdict) Enum() []any { return []any{passed, failed, skipped} }

// tests is POST /run/tests: one program with several inputs, each in a sandbox
// of its own.
func (s *Server) tests(c *fiber.Ctx) error {
	t := s.newTask(c)
	if s.draining.Load() {
		return errDraining
	}
	switch kind, _, err := contentType(c); {
	case err != nil:
		return err
	case kind != fiber.MIMEApplicationJSON:
		return refuse(CodeUnsupportedMedia, "The Content-Type must be application/json")
	}
	var r testsRequest
	if err := decode(c.BodyRaw(), &r); err != nil {
		return err
	}
	tasks, err := s.cases(t, r)
	if err != nil {
		return err
	}
	atOnce := min(len(tasks), s.parallel(tasks[0]))
	done, err := s.admit(t.caller, tasks[0].language.Name, len(tasks), atOnce)
	if err != nil {
		return err
	}
	runs, err := s.executeCases(s.life, tasks, r, atOnce)
	done(ranOf(len(tasks), err))
	if err != nil {
		return err
	}
	answer := testsAnswer{ID: t.id, Language: tasks[0].language.Name, Verdict: passed, TotalMS: millis(time.Since(t.arrived))}
	for i, run := range runs {
		answer.add(r.Tests[i].judge(run))
	}
	return writeJSON(c, fiber.StatusOK, answer)
}

// cases makes a task of each case.
func (s *Server) cases(t task, r testsRequest) ([]task, error) {
	if len(r.Tests) == 0 || len(r.Tests) > s.bounds.tests {
		return nil, refuse(CodeInvalidField, "The field tests must have from 1 to %d cases", s.bounds.tests)
	}
	if r.Stdin != "" || r.Args != nil {
		return nil, refuse(CodeInvalidField, "The fields stdin and args belong to each of the tests")
	}
	var err error
	if t.language, t.program, err = s.bounds.program(r.request); err != nil {
		return nil, err
	}
	tasks := make([]task, len(r.Tests)) // which share the files
	for i, test := range r.Tests {
		t.id, t.request = rand.Text(), r.request
		t.request.Stdin, t.request.Args = test.Stdin, test.Args
		t.program.Stdin, t.program.Args = []byte(test.Stdin), test.Args
		if err := t.program.Validate(); err != nil {
			return nil, refuse(CodeInvalidField, "The program of tests[%d] is not valid: %v", i, err)
		}
		tasks[i] = t
	}
	return tasks, nil
}

// executeCases runs the tasks, atOnce at a time. A case that was skipped is nil.
// Its error is the first of ours, and ends the others. That the queue is full is
// waited out for a while: those before it would have run for nothing.
func (s *Server) executeCases(ctx context.Context, tasks []task, r testsRequest, atOnce int) ([]*runAnswer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runs := make([]*runAnswer, len(tasks))
	var (
		workers sync.WaitGroup
		mu      sync.Mutex // guards what follows
		next    int
		stopAt  = len(tasks) // cases from here on are skipped
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= stopAt || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range atOnce {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				answer, err := s.executePatiently(ctx, tasks[i], nil, s.cfg.QueueTimeout)
				if err != nil {
					cancel(err)
					return
				}
				s.record(tasks[i], answer)
				runs[i] = &answer
				if v, _ := r.Tests[i].verdict(answer); v == failed && r.StopOnFailure {
					mu.Lock()
					stopAt = min(stopAt, i+1)
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	clear(runs[stopAt:]) // those that ran beside the one that failed
	return runs, nil
}

// parallel is how many sandboxes one request may take at once: those that the
// pool keeps warm, and no more than the key may.
func (s *Server) parallel(t task) int {
	most := 1
	for _, l := range s.pool.Stats().Languages {
		if l.Language == t.language.Name {
			most = max(1, l.Size)
		}
	}
	if key := t.caller.key; key != nil && key.Limits.Concurrent > 0 {
		most = min(most, key.Limits.Concurrent)
	}
	return most
}

// judge gives a case's answer; a run that is nil was skipped.
func (t testCase) judge(run *runAnswer) caseAnswer {
	if run == nil {
		return caseAnswer{skipped, new("A case before it failed"), nil}
	}
	v, reason := t.verdict(*run)
	if v == passed {
		return caseAnswer{v, nil, run}
	}
	return caseAnswer{v, &reason, run}
}

func (t testCase) verdict(run runAnswer) (v verdict, reason string) {
	exit := 0
	if t.ExpectedExitCode != nil {
		exit = *t.ExpectedExitCode
	}
	switch {
	case run.Status != sandbox.OK && run.Status != sandbox.Error:
		return failed, *run.Error
	case run.ExitCode != exit && run.Error != nil:
		return failed, *run.Error
	case run.ExitCode != exit:
		return failed, exitSentence(run.ExitCode)
	case t.ExpectedStdout != nil && run.Truncated:
		return failed, "The output is longer than what was kept"
	case t.ExpectedStdout != nil && trimmed(*t.ExpectedStdout) != trimmed(run.Stdout):
		return failed, "The output is not the expected one"
	}
	return passed, ""
}

// trimmed takes the white space off the end of every line, and of the whole.
func trimmed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \t\r\n\v\f"))
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

func (a *testsAnswer) add(c caseAnswer) {
	a.Tests = append(a.Tests, c)
	switch c.Verdict {
	case passed:
		a.Passed++
	case failed:
		a.Failed++
		a.Verdict = failed
	case skipped:
		a.Skipped++
	}
}

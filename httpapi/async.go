package httpapi

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// What is kept of asynchronous runs that have ended, for their clients to fetch,
// and how long a run may wait for a sandbox while the queue is full.
const (
	keptRuns      = 256
	keptBytes     = 64 << 20
	keptTime      = 10 * time.Minute
	asyncPatience = 5 * time.Minute
)

// runState is how far an asynchronous run is.
type runState string

const (
	queued   runState = "queued"
	running  runState = "running"
	finished runState = "finished" // the result says how
	lost     runState = "lost"     // preheat or the engine failed; the error says why
)

// Enum lists the states for the API's description.
func (runState) Enum() []any { return []any{queued, running, finished, lost} }

// asyncAnswer tells of one run.
type asyncAnswer struct {
	ID      string       `json:"id"`
	State   runState     `json:"state"`
	Created time.Time    `json:"created" description:"When it was asked for."`
	Request *request     `json:"request,omitempty" description:"What was asked for; a body for /run."`
	Result  *runAnswer   `json:"result,omitempty" description:"Once it is finished."`
	Error   *errorAnswer `json:"error,omitempty" description:"When it is lost: preheat or the engine failed."`
}

// startRun is POST /runs.
func (s *Server) startRun(c *fiber.Ctx) error {
	t, err := s.accept(c)
	if err != nil {
		return err
	}
	done, err := s.admit(t.caller, t.language.Name, 1, 1)
	if err != nil {
		return err
	}
	err = s.async.start(t, func(ctx context.Context, w watcher) (runAnswer, error) {
		answer, err := s.executePatiently(ctx, t, w, asyncPatience)
		done(ranOf(1, err))
		if err == nil {
			s.record(t, answer)
		} else if ctx.Err() == nil {
			s.logFailure(t.id, err)
		}
		return answer, err
	})
	if err != nil {
		done(0)
		return err
	}
	c.Set(fiber.HeaderLocation, "/runs/"+t.id)
	return writeJSON(c, fiber.StatusAccepted, asyncAnswer{ID: t.id, State: queued, Created: t.arrived.UTC()})
}

// asyncRuns are the runs that nobody waits for: those that have not ended, and
// the last that have.
type asyncRuns struct {
	most  int           // that have not ended
	turns chan struct{} // holds one for each that is executed
	tasks sync.WaitGroup

	mu      sync.Mutex // guards what follows, and the fields of every run that say so
	active  int
	byID    map[string]*asyncRun
	endings []*asyncRun // in their order
	bytes   int         // of those
}

type asyncRun struct {
	owner  *asyncRuns
	id     string
	caller caller
	end    context.CancelFunc

	// Guarded by owner.mu.
	answer asyncAnswer
	ended  time.Time
	bytes  int
}

func newAsyncRuns(most, turns int) *asyncRuns {
	return &asyncRuns{most: most, turns: make(chan struct{}, turns), byID: map[string]*asyncRun{}}
}

// start runs t when its turn comes. Its error is *Error.
func (a *asyncRuns) start(t task, execute func(context.Context, watcher) (runAnswer, error)) error {
	ctx, end := context.WithCancel(context.Background())
	r := &asyncRun{owner: a, id: t.id, caller: t.caller, end: end, answer: asyncAnswer{
		ID: t.id, State: queued, Created: t.arrived.UTC(), Request: new(t.request.storable()),
	}}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active == a.most {
		end()
		return refuse(CodeQueueFull, "There are %d runs that have not ended", a.most)
	}
	a.active++
	a.byID[t.id] = r
	a.tasks.Go(func() {
		defer end()
		select {
		case a.turns <- struct{}{}:
			defer func() { <-a.turns }()
		case <-ctx.Done(): // execute says so
		}
		answer, err := execute(ctx, r)
		a.ended(r, answer, err)
	})
	return nil
}

func (r *asyncRun) waits(*ticket) {}

func (r *asyncRun) started(time.Duration) {
	r.owner.mu.Lock()
	defer r.owner.mu.Unlock()
	r.answer.State = running
}

// Stdout and Stderr have nobody to tell.
func (*asyncRun) Stdout([]byte) {}
func (*asyncRun) Stderr([]byte) {}

func (a *asyncRuns) ended(r *asyncRun, answer runAnswer, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.active--
	if err != nil {
		e := asError(err)
		r.answer.State, r.answer.Error = lost, &errorAnswer{e.Sentence, e.Code}
	} else {
		r.answer.State, r.answer.Result = finished, &answer
	}
	if a.byID[r.id] != r { // it was deleted
		return
	}
	r.ended = time.Now()
	r.bytes = answer.size() + r.answer.Request.size()
	a.bytes += r.bytes
	a.endings = append(a.endings, r)
	a.forget(r.ended)
}

// forget drops the oldest of those that have ended until the rest is within its
// bounds. The caller holds mu.
func (a *asyncRuns) forget(now time.Time) {
	for len(a.endings) > keptRuns || a.bytes > keptBytes || len(a.endings) > 0 && now.Sub(a.endings[0].ended) > keptTime {
		a.drop(a.endings[0])
	}
}

// drop forgets a run. The caller holds mu.
func (a *asyncRuns) drop(r *asyncRun) {
	delete(a.byID, r.id)
	if i := slices.Index(a.endings, r); i >= 0 {
		a.endings = slices.Delete(a.endings, i, i+1)
		a.bytes -= r.bytes
	}
}

// get tells of a caller's run.
func (a *asyncRuns) get(who caller, id string) (asyncAnswer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(time.Now())
	r, ok := a.byID[id]
	if !ok || r.caller.name() != who.name() {
		return asyncAnswer{}, false
	}
	return r.answer, true
}

// delete forgets a caller's run, and ends it where it has not ended.
func (a *asyncRuns) delete(who caller, id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.byID[id]
	if !ok || r.caller.name() != who.name() {
		return false
	}
	a.drop(r)
	r.end()
	return true
}

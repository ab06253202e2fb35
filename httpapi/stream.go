package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
)

type startedEvent struct {
	ID       string  `json:"id"`
	Language string  `json:"language"`
	Queue    float64 `json:"queue_ms"`
}

type queuedEvent struct {
	Position int `json:"position"` // from 1
}

type outputEvent struct {
	Text string `json:"text"` // what is not valid UTF-8 became U+FFFD
}

// queueTick is how often one who waits for a sandbox is told its place. What
// fails before the first time is answered as by /run.
const queueTick = 250 * time.Millisecond

// stream is POST /run/stream: a run as server-sent events, while it goes on.
func (s *Server) stream(c *fiber.Ctx) error {
	t, err := s.accept(c)
	if err != nil {
		return err
	}
	done, err := s.admit(t.caller, t.language.Name, 1, 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.life)
	e := newEvents(t)
	s.streams.Go(func() {
		answer, err := s.execute(ctx, t, e)
		done(ranOf(1, err))
		if err == nil {
			s.record(t, answer)
		}
		if told := e.finish(answer, err); err != nil && told && ctx.Err() == nil {
			s.logFailure(t.id, err) // else the one error handler does
		}
	})
	if err := e.await(); err != nil {
		cancel()
		return err
	}
	conn := c.Context().Conn()
	s.streams.Add(1) // fasthttp does not wait for it when the client has gone
	gone := make(chan struct{})
	s.streams.Go(func() {
		defer cancel() // a client that has gone needs no run
		defer close(gone)
		watch(conn)
	})
	sendEvents(c, func(w *bufio.Writer) {
		defer s.streams.Done()
		defer cancel()
		e.send(w, conn, gone, s.cfg.WriteTimeout, s.cfg.Heartbeat)
	})
	return nil
}

// watch returns when the client has closed conn, or the answer is over. Nobody
// else reads from it: it is not used for another request.
func watch(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Time{}) // that of the request
	_, _ = io.Copy(io.Discard, conn)
}

// sendEvents answers with what write writes, as it does, and then closes the
// connection.
func sendEvents(c *fiber.Ctx, write func(*bufio.Writer)) {
	c.Response().SetConnectionClose()
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no") // nginx would hold it back
	c.Context().SetBodyStreamWriter(write)
}

// maxPieces is how many events may wait for a client. One that is further behind
// gets output that is whole, but no longer in the order of stdout and stderr.
const maxPieces = 1024

// piece is one event: data, or output that is not sent yet.
type piece struct {
	name string
	text []byte
	data any
}

// events is what a run has to tell that has not been sent.
type events struct {
	task task
	news chan struct{} // told, with room for one, when there is something to send

	mu     sync.Mutex // guards what follows
	pieces []piece
	halves map[string][]byte // the begin of a character that is not printed whole yet, by stream
	place  *ticket           // of the latest wait for a sandbox
	open   bool              // the answer has begun: what goes wrong is an event
	begun  bool
	ended  bool
	err    error // why there is no result; set before ended
}

func newEvents(t task) *events {
	return &events{task: t, news: make(chan struct{}, 1), halves: map[string][]byte{}}
}

func (e *events) waits(place *ticket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.place = place
}

// position is the run's place in the line; 0 when it does not wait.
func (e *events) position() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.place == nil {
		return 0
	}
	return e.place.position()
}

func (e *events) started(waited time.Duration) {
	e.change(func() {
		if !e.begun { // not a second sandbox, after one that was dead
			e.begun = true
			e.add("started", startedEvent{e.task.id, e.task.language.Name, millis(waited)})
		}
	})
}

func (e *events) Stdout(p []byte) { e.change(func() { e.print("stdout", p) }) }
func (e *events) Stderr(p []byte) { e.change(func() { e.print("stderr", p) }) }

// print adds the characters that p completes. The caller holds mu.
func (e *events) print(name string, p []byte) {
	text := slices.Concat(e.halves[name], p)
	cut := len(text) - len(incomplete(text))
	e.halves[name] = bytes.Clone(text[cut:])
	if text = text[:cut]; len(text) == 0 {
		return
	}
	last := len(e.pieces) - 1
	for len(e.pieces) >= maxPieces && last > 0 && e.pieces[last].name != name {
		last--
	}
	if last >= 0 && e.pieces[last].name == name {
		e.pieces[last].text = append(e.pieces[last].text, text...)
		return
	}
	e.pieces = append(e.pieces, piece{name: name, text: bytes.Clone(text)})
}

// incomplete is the end of p that more bytes may make a character of.
func incomplete(p []byte) []byte {
	for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if utf8.FullRune(p[i:]) {
				break
			}
			return p[i:]
		}
	}
	return nil
}

// finish adds the result, or notes why there is none. It reports whether the
// client learns of that as an event.
func (e *events) finish(answer runAnswer, err error) (told bool) {
	e.change(func() {
		for name, half := range e.halves {
			if len(half) > 0 {
				e.pieces = append(e.pieces, piece{name: name, text: half})
			}
		}
		switch {
		case err == nil:
			for _, f := range answer.Files {
				e.add("file", f)
			}
			e.add("result", answer)
		case e.open || e.begun:
			known := asError(err)
			e.add("error", errorAnswer{known.Sentence, known.Code})
		}
		e.err, e.ended, told = err, true, e.open || e.begun
	})
	return told
}

// add appends an event that is not output. The caller holds mu.
func (e *events) add(name string, data any) {
	e.pieces = append(e.pieces, piece{name: name, data: data})
}

func (e *events) change(f func()) {
	e.mu.Lock()
	f()
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// take returns what there is to send, and whether more will come.
func (e *events) take() (pieces []piece, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pieces, e.pieces = e.pieces, nil
	return pieces, !e.ended
}

// await returns nil when there is something to send, or the error that kept the
// run from starting.
func (e *events) await() error {
	patience := time.NewTimer(queueTick)
	defer patience.Stop()
	for {
		waits := false
		select {
		case <-e.news:
		case <-patience.C:
			waits = true
		}
		e.mu.Lock()
		e.open = e.begun || waits && !e.ended
		open, ended, err := e.open, e.ended, e.err
		e.mu.Unlock()
		if open {
			e.change(func() {}) // what was told is to be sent
			return nil
		}
		if ended {
			return err
		}
	}
}

// write appends the event to b.
func (p piece) write(b *bytes.Buffer) {
	if p.text != nil {
		p.data = outputEvent{string(p.text)}
	}
	b.WriteString("event: " + p.name + "\ndata: ")
	b.Write(encodeJSON(p.data)) // which ends the line
	b.WriteByte('\n')
}

// send writes events until the run has ended or the client has gone.
func (e *events) send(w *bufio.Writer, conn net.Conn, gone <-chan struct{}, timeout, heartbeat time.Duration) {
	tick := time.NewTicker(queueTick)
	defer tick.Stop()
	var text bytes.Buffer
	told, sent := 0, time.Now()
	for more := true; more; {
		text.Reset()
		if place := e.position(); place > 0 && place != told {
			told = place
			piece{name: "queued", data: queuedEvent{place}}.write(&text)
		}
		var pieces []piece
		select {
		case <-e.news:
			pieces, more = e.take()
		case <-gone: // the last words, for one who only writes no more
			pieces, _ = e.take()
			more = false
		case <-tick.C:
			if time.Since(sent) > heartbeat {
				text.WriteString(": still running\n\n")
			}
		}
		for _, p := range pieces {
			p.write(&text)
		}
		if text.Len() == 0 {
			continue
		}
		// The server's own time-out began with the answer.
		sent = time.Now()
		_ = conn.SetWriteDeadline(sent.Add(timeout))
		w.Write(text.Bytes())
		if w.Flush() != nil {
			return
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// ErrLost is returned by Run when the stream ended, or the other end broke the
// protocol, before there was a result. The driver finds out why: a program can
// take its agent down with it, and so can the kernel or the engine.
var ErrLost = errors.New("agent: the connection ended before the result")

// Conn is the host's end of a stream to one warm agent.
type Conn struct {
	lang   sandbox.Language
	token  string // that RESULT must bring back
	stream io.ReadWriteCloser
	reader sync.WaitGroup // the goroutine that runs read

	ready  chan struct{} // closed by read at READY
	report chan Report   // sent to by read, once; has room for it
	done   chan struct{} // closed by read when the stream has ended
	err    error         // why; written by read before it closes done

	mu    sync.Mutex // guards what follows, and is held while out is called
	used  bool       // a program has been handed over
	out   sandbox.Output
	left  [2]int // bytes that out still takes of stdout and stderr
	files intake // of Run alone once there is a report
}

// Handshake takes stream over and returns once the agent, of a sandbox of
// lang, is warm. When it fails, it has closed the stream. The token is a secret
// of this sandbox, which nobody can guess; it is given here because what makes
// one would be part of the agent too.
func Handshake(ctx context.Context, lang sandbox.Language, token string, stream io.ReadWriteCloser) (*Conn, error) {
	c := &Conn{
		lang:   lang,
		token:  token,
		stream: stream,
		ready:  make(chan struct{}),
		report: make(chan Report, 1),
		done:   make(chan struct{}),
	}
	c.reader.Go(c.read)
	select {
	case <-c.ready:
		return c, nil
	case <-c.done:
		c.Close()
		return nil, fmt.Errorf("agent: ended before it was warm: %w", c.err)
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("agent: not warm in time: %w", context.Cause(ctx))
	}
}

// Done is closed when the stream has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Hangup ends the connection from the host's side; Done is closed soon after.
func (c *Conn) Hangup() { c.stream.Close() }

// Close ends the connection and waits for its goroutine. The agent ends
// everything in its sandbox when it sees that. Close is idempotent.
func (c *Conn) Close() {
	c.stream.Close()
	c.reader.Wait()
}

// Run hands p over, as sandbox.Sandbox describes, and closes the connection
// when it returns.
func (c *Conn) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	if err := p.Validate(); err != nil {
		return sandbox.Result{}, err
	}
	p.Collect = p.Collect.With(c.lang.Collect)
	words, err := encode(c.lang, p, c.token)
	if err != nil {
		return sandbox.Result{}, err
	}
	if err := c.claim(p, out); err != nil {
		return sandbox.Result{}, err
	}
	defer c.release()

	start := time.Now()
	deadline := time.NewTimer(p.Timeout)
	defer deadline.Stop()
	var writer sync.WaitGroup
	// A program that does not read its input must not hold the run up. A write
	// that fails needs no report: read sees the end of the stream too.
	writer.Go(func() { c.stream.Write(words) })
	defer writer.Wait()
	defer c.stream.Close()

	select {
	case r := <-c.report:
		return r.result(c.files.files, time.Since(start)), nil
	case <-c.done:
		select {
		case r := <-c.report: // it came just before the end
			return r.result(c.files.files, time.Since(start)), nil
		default:
			return sandbox.Result{}, fmt.Errorf("%w: %w", ErrLost, c.err)
		}
	case <-deadline.C:
		return sandbox.Result{Status: sandbox.Timeout, ExitCode: sandbox.ExitKilled, Truncated: c.truncated(), Duration: time.Since(start)}, nil
	case <-ctx.Done():
		return sandbox.Result{}, context.Cause(ctx)
	}
}

// claim makes the caller the one that uses the connection.
func (c *Conn) claim(p sandbox.Program, out sandbox.Output) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used {
		return sandbox.ErrUsed
	}
	c.used = true
	select {
	case <-c.done:
		return sandbox.ErrDead
	default:
	}
	c.out = out
	c.left = [2]int{p.OutputBytes, p.OutputBytes}
	c.files = intake{collect: p.Collect}
	return nil
}

// release makes sure that out is not called any more.
func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = nil
}

// truncated reports whether the limit of a stream was reached. The agent stops
// sending there, so a program whose output ends exactly at the limit counts too
// when it had to be killed.
func (c *Conn) truncated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left[0] == 0 || c.left[1] == 0
}

// read takes frames until the stream ends or the other end breaks the protocol.
func (c *Conn) read() {
	defer close(c.done)
	r := NewReader(c.stream)
	isReady, finished := false, false
	for {
		f, err := r.Next()
		if err != nil {
			c.err = err
			return
		}
		switch {
		case f.Type == Ready && !isReady:
			isReady = true
			if !bytes.Equal(f.Payload, []byte{Version}) {
				c.err = fmt.Errorf("%w: READY of version %x, want %x", ErrProtocol, f.Payload, Version)
				return
			}
			close(c.ready)
		case (f.Type == Stdout || f.Type == Stderr) && isReady && !finished:
			c.err = c.print(f)
		case f.Type == File && isReady && !finished:
			c.err = c.take(f)
		case f.Type == Finished && isReady && !finished:
			finished = true
			c.err = c.finish(f)
		default:
			c.err = fmt.Errorf("%w: frame type %#x out of turn", ErrProtocol, byte(f.Type))
		}
		if c.err != nil {
			return
		}
	}
}

// print passes output on, within the limit that the agent was told to keep.
func (c *Conn) print(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.used {
		return fmt.Errorf("%w: output before a program", ErrProtocol)
	}
	if c.out == nil {
		return nil // the run is over
	}
	left := &c.left[f.Type-Stdout]
	if len(f.Payload) > *left {
		return fmt.Errorf("%w: more output than was asked for", ErrProtocol)
	}
	if len(f.Payload) == 0 { // they would count for nothing, and could come for ever
		return fmt.Errorf("%w: an empty frame of output", ErrProtocol)
	}
	*left -= len(f.Payload)
	if f.Type == Stdout {
		c.out.Stdout(f.Payload)
	} else {
		c.out.Stderr(f.Payload)
	}
	return nil
}

// take keeps a file.
func (c *Conn) take(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files.take(f.Payload) // before a program nothing is asked for
}

// finish passes the report on.
func (c *Conn) finish(f Frame) error {
	c.mu.Lock()
	used := c.used
	c.mu.Unlock()
	if !used {
		return fmt.Errorf("%w: a result before a program", ErrProtocol)
	}
	report, err := ParseReport(f.Payload)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(report.Token), []byte(c.token)) != 1 {
		return fmt.Errorf("%w: a result that is not the agent's", ErrProtocol)
	}
	c.report <- report
	return nil
}

// encode returns the frames that hand p over to an agent for lang.
func encode(lang sandbox.Language, p sandbox.Program, token string) ([]byte, error) {
	header, err := json.Marshal(header(lang, p, token))
	if err != nil {
		return nil, err
	}
	if len(header) > MaxPayload {
		return nil, fmt.Errorf("agent: a header of %d bytes", len(header))
	}
	var b []byte
	for _, f := range p.Files {
		b = AppendFile(b, f)
	}
	b = AppendFrame(b, Run, header)
	for in := p.Stdin; len(in) > 0; {
		n := min(len(in), MaxPayload)
		b = AppendFrame(b, Stdin, in[:n])
		in = in[n:]
	}
	return AppendFrame(b, StdinEOF, nil), nil
}

// header is what an agent for lang must know of p. What is as the language has
// it is left out.
func header(lang sandbox.Language, p sandbox.Program, token string) RunHeader {
	h := RunHeader{
		Start:       Start{Env: make(map[string]string, len(p.Env))},
		Token:       token,
		OutputBytes: p.OutputBytes,
		FloodBytes:  p.FloodBytes,
	}
	for _, kv := range p.Env {
		name, value, _ := strings.Cut(kv, "=")
		h.Env[name] = value
	}
	if len(p.Collect.Patterns) > 0 {
		h.Collect, h.CollectFiles, h.CollectBytes = p.Collect.Patterns, p.Collect.MaxFiles, p.Collect.MaxBytes
	}
	if lang.OnDemand {
		h.Command = slices.Concat(lang.Command, p.Args)
		if i := slices.Index(lang.Command, lang.Entry); i >= 0 && p.Entry != "" {
			h.Command[i] = p.Entry
		}
		return h
	}
	h.Args = p.Args
	if p.Entry != lang.Entry {
		h.Entry = p.Entry
	}
	if p.MemoryBytes != lang.Limits.MemoryBytes {
		h.MemoryBytes = p.MemoryBytes
	}
	return h
}

// result says what a report means.
func (r Report) result(files []sandbox.File, took time.Duration) sandbox.Result {
	res := sandbox.Result{
		Status:    r.Status(),
		ExitCode:  r.ExitCode,
		Truncated: r.Truncated,
		Duration:  took,
		Usage: sandbox.Usage{
			CPU:         time.Duration(r.CPUMicros) * time.Microsecond,
			MemoryBytes: r.MemoryBytes,
		},
	}
	if r.EndedByItself() {
		res.Files, res.FilesOmitted = files, r.Omitted
	}
	if r.Flooded {
		res.ExitCode = sandbox.ExitKilled
	}
	return res
}

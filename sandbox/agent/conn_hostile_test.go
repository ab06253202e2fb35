package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// tally counts what is printed.
type tally struct{ bytes, calls int }

func (n *tally) Stdout(p []byte) { n.bytes += len(p); n.calls++ }
func (n *tally) Stderr(p []byte) { n.bytes += len(p); n.calls++ }

func TestAFloodEndsAtTheOutputAskedForAndCostsNoMemory(t *testing.T) {
	const limit = 1 << 20
	for name, frame := range map[string][]byte{
		"long frames":     AppendFrame(nil, Stdout, make([]byte, MaxPayload)),
		"tiny frames":     AppendFrame(nil, Stderr, []byte("x")),
		"empty frames":    AppendFrame(nil, Stdout, nil),
		"frames in turns": AppendFrame(AppendFrame(nil, Stdout, []byte("x")), Stderr, []byte("x")),
		"unasked files":   AppendFile(nil, sandbox.File{Name: "x", Content: make([]byte, 1<<10)}),
		"results":         result(Report{ExitCode: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			flood := bytes.Repeat(frame, 1+4<<10/len(frame))
			c := connect(t, func(agent net.Conn) {
				for err := error(nil); err == nil; {
					var n int
					n, err = agent.Write(flood)
					sent.Add(int64(n))
				}
			})
			p := hello()
			p.OutputBytes = limit
			var out tally
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			res, err := c.Run(t.Context(), p, &out)
			c.Close()
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrLost) && (name != "results" || res.ExitCode != 1) {
				t.Errorf("got %+v, %v", res, err)
			}
			if out.bytes > 2*limit || out.calls > 2*limit {
				t.Errorf("%d bytes came in %d calls", out.bytes, out.calls)
			}
			if most := int64(2*limit*(HeaderBytes+1) + len(flood)); sent.Load() > most {
				t.Errorf("the host took %d bytes, want at most %d", sent.Load(), most)
			}
			if kept := after.TotalAlloc - before.TotalAlloc; kept > limit/2 {
				t.Errorf("the host allocated %d bytes for %d", kept, sent.Load())
			}
		})
	}
}

func TestAResultCountsOnce(t *testing.T) {
	c := connect(t, func(agent net.Conn) {
		agent.Write(append(result(Report{ExitCode: 3}), result(Report{})...))
	})
	if res, err := c.Run(t.Context(), hello(), new(sandbox.Capture)); err != nil || res.ExitCode != 3 {
		t.Errorf("got %+v, %v", res, err)
	}
	if res, err := c.Run(t.Context(), hello(), new(sandbox.Capture)); !errors.Is(err, sandbox.ErrUsed) {
		t.Errorf("a second run returned %+v, %v", res, err)
	}
}

func TestAnAgentThatTricklesIsEndedByTheDeadline(t *testing.T) {
	long := AppendFrame(nil, Stdout, make([]byte, MaxPayload))
	trickle := func(agent net.Conn) {
		for _, b := range long {
			if _, err := agent.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	t.Run("a run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			res, err := connect(t, trickle).Run(t.Context(), hello(), new(sandbox.Capture))
			if err != nil || res.Status != sandbox.Timeout || res.Duration != time.Minute {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	})
	t.Run("a handshake", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			host, agent := net.Pipe()
			var task sync.WaitGroup
			task.Go(func() { trickle(agent) })
			defer task.Wait()
			defer agent.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := Handshake(ctx, lang, token, host); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	})
}

// FuzzConn plays an agent that says greeting at once and words once it has
// read the whole program, and then hangs up or stays. Whatever they are, there
// is one answer, within the deadline, with no more output than was asked for;
// synctest sees to it that no goroutine is left.
func FuzzConn(f *testing.F) {
	hi := AppendFrame(nil, Stdout, []byte("hi"))
	for _, words := range [][]byte{
		nil,
		append(bytes.Clone(hi), result(Report{})...),
		append(result(Report{ExitCode: 1, OOMKills: 1}), result(Report{})...),
		AppendFrame(hi, Stderr, make([]byte, 200)),
		AppendFrame(nil, Stdout, nil),
		ready,
		append(file("x", "y"), result(Report{})...),
		slices.Concat(file("a", "1"), file("a", "2"), file("b", ""), result(Report{ExitCode: 1, Omitted: 2})),
		slices.Concat(file("b", ""), file("a", "")),
		append(file("a", strings.Repeat("x", 101)), result(Report{})...),
		{byte(Stdout), 0xff, 0xff, 0xff, 0xff},
		hi[:4],
	} {
		f.Add(ready, words, true)
		f.Add(ready, words, false)
		f.Add(words, ready, false)
		f.Add(append(bytes.Clone(ready), words...), ready, false)
	}
	f.Fuzz(func(t *testing.T, greeting, words []byte, stay bool) {
		synctest.Test(t, func(t *testing.T) {
			host, agent := net.Pipe()
			var task sync.WaitGroup
			task.Go(func() { act(agent, greeting, words, stay) })
			defer task.Wait()
			defer agent.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c, err := Handshake(ctx, lang, token, host)
			if err != nil {
				return
			}
			defer c.Close()
			var out tally
			start, p := time.Now(), collecting(all)
			res, err := c.Run(t.Context(), p, &out)
			if (err == nil) != (res.Status != "") {
				t.Errorf("both or neither: %+v, %v", res, err)
			}
			if err != nil && !errors.Is(err, ErrLost) && !errors.Is(err, sandbox.ErrDead) {
				t.Errorf("got %v", err)
			}
			if out.bytes > 2*p.OutputBytes || time.Since(start) > p.Timeout || res.Usage.CPU < 0 {
				t.Errorf("%d bytes, %s, %+v", out.bytes, time.Since(start), res)
			}
			size := int64(0)
			for i, f := range res.Files {
				size += int64(len(f.Content))
				if sandbox.ValidateName(f.Name) != nil || i > 0 && f.Name <= res.Files[i-1].Name {
					t.Errorf("the file %q", f.Name)
				}
			}
			if len(res.Files) > all.MaxFiles || size > all.MaxBytes {
				t.Errorf("%d files of %d bytes", len(res.Files), size)
			}
			if _, err := c.Run(t.Context(), p, &out); !errors.Is(err, sandbox.ErrUsed) {
				t.Errorf("a second run: %v", err)
			}
		})
	})
}

// act is the agent of FuzzConn.
func act(agent net.Conn, greeting, words []byte, stay bool) {
	agent.Write(greeting)
	if program(agent) != nil {
		return
	}
	agent.Write(words)
	if stay {
		io.Copy(io.Discard, agent)
	}
	agent.Close()
}

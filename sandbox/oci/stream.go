package oci

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/preheat/preheat/sandbox/agent"
)

// pipes are the way to the agent: what is read is its standard output.
type pipes struct {
	in, out, diagnostics *os.File // this end's
	theirs               []*os.File
	said                 agent.Diagnostics
	listener             sync.WaitGroup // the goroutine that reads diagnostics
}

// newPipes returns pipes whose other ends are theirs: stdin, stdout and stderr.
func newPipes() (*pipes, error) {
	var ends [6]*os.File
	for i := 0; i < len(ends); i += 2 {
		r, w, err := os.Pipe()
		if err != nil {
			for _, f := range ends[:i] {
				f.Close()
			}
			return nil, err
		}
		ends[i], ends[i+1] = r, w
	}
	return &pipes{
		in: ends[1], out: ends[2], diagnostics: ends[4],
		theirs: []*os.File{ends[0], ends[3], ends[5]},
	}, nil
}

// started closes the other ends, which a process has now, and listens.
func (p *pipes) started() {
	p.closeTheirs()
	p.listener.Go(func() {
		if _, err := io.Copy(&p.said, p.diagnostics); errors.Is(err, agent.ErrProtocol) {
			p.out.Close()
		}
	})
}

// end returns what was said, when the other end has ended.
func (p *pipes) end() string {
	p.diagnostics.SetReadDeadline(time.Now().Add(time.Second)) // a child of the other end may live on
	p.listener.Wait()
	return p.said.String()
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

func (p *pipes) Read(b []byte) (int, error)  { return p.out.Read(b) }
func (p *pipes) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close ends the connection and waits for its goroutine.
func (p *pipes) Close() error {
	err := errors.Join(p.in.Close(), p.out.Close(), p.diagnostics.Close())
	p.listener.Wait()
	return err
}

// Package agent is the protocol between preheat and the agent, the small
// program inside a sandbox that keeps an interpreter warm.
//
// Drivers use [Handshake] on a byte stream to the agent and [Conn.Run] on what
// it returns. Package guest is the other end.
//
// The two ends talk in frames: a type byte, the payload's length in four bytes
// big-endian, and the payload, at most [MaxPayload] bytes. The host sends FILE
// frames, RUN, then STDIN frames and STDIN_EOF; the agent sends READY once, then
// STDOUT and STDERR frames while the program runs, and when it has ended FILE
// frames, sorted by name, and RESULT.
//
// The host trusts nothing that comes from a sandbox. A frame that is too long,
// unknown, malformed or out of turn ends the connection; see [ErrProtocol].
package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the protocol's version, the payload of READY.
const Version = 2

// OnDemand is the agent's first word when its command is not to be started
// before a program comes.
const OnDemand = "-on-demand"

// Type tells what a frame carries.
type Type byte

// The frames of protocol version 2.
const (
	Run      Type = 0x01 // host to agent: a RunHeader in JSON; starts the program
	File     Type = 0x02 // both ways: a file or the next part of it, see AppendFile
	Stdin    Type = 0x03 // host to agent: bytes of standard input
	StdinEOF Type = 0x04 // host to agent: standard input ends; empty

	Ready    Type = 0x81 // agent to host: the interpreter is warm; one byte, Version
	Stdout   Type = 0x82 // agent to host: bytes of standard output
	Stderr   Type = 0x83 // agent to host: bytes of standard error
	Finished Type = 0x84 // agent to host: the RESULT, a Report in JSON
)

const (
	headerBytes = 5

	// MaxPayload bounds a frame's payload, in bytes.
	MaxPayload = 64 << 10

	// MaxFrame bounds a whole frame, in bytes.
	MaxFrame = headerBytes + MaxPayload
)

// ErrProtocol marks every error that means that the other end broke the
// protocol.
var ErrProtocol = errors.New("agent: protocol broken")

// Frame is one message. Its payload may alias the decoder's buffer.
type Frame struct {
	Type    Type
	Payload []byte
}

// AppendFrame appends a frame to b. It panics when the payload is longer than
// MaxPayload, which callers prevent.
func AppendFrame(b []byte, t Type, payload []byte) []byte {
	if len(payload) > MaxPayload {
		panic("agent: payload too long")
	}
	b = append(b, byte(t))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

// PutHeader writes the header of a frame whose payload of n bytes follows
// directly in b.
func PutHeader(b []byte, t Type, n int) {
	b[0] = byte(t)
	binary.BigEndian.PutUint32(b[1:headerBytes], uint32(n))
}

// HeaderBytes is the length of a frame's header.
const HeaderBytes = headerBytes

// Parse decodes the frame at the start of b and says how many bytes it took;
// zero means that b does not hold a whole frame yet. The payload aliases b.
func Parse(b []byte) (f Frame, n int, err error) {
	if len(b) < headerBytes {
		return Frame{}, 0, nil
	}
	size := binary.BigEndian.Uint32(b[1:headerBytes])
	if size > MaxPayload {
		return Frame{}, 0, fmt.Errorf("%w: a frame of %d bytes", ErrProtocol, size)
	}
	n = headerBytes + int(size)
	if len(b) < n {
		return Frame{}, 0, nil
	}
	return Frame{Type: Type(b[0]), Payload: b[headerBytes:n:n]}, n, nil
}

// Reader decodes frames from a stream.
type Reader struct {
	r   io.Reader
	buf []byte // what has been read and not yet returned is buf[start:end]

	start, end int
}

// NewReader returns a Reader of r. It reads ahead, so r is its own from now on.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: r, buf: make([]byte, 4<<10)}
}

// Next returns the next frame; its payload is valid until the following call.
// At the end of the stream it returns io.EOF, within a frame
// io.ErrUnexpectedEOF.
func (r *Reader) Next() (Frame, error) {
	for {
		f, n, err := Parse(r.buf[r.start:r.end])
		if err != nil {
			return Frame{}, err
		}
		if n > 0 {
			r.start += n
			return f, nil
		}
		if err := r.fill(); err != nil {
			return Frame{}, err
		}
	}
}

// fill reads once, after making room. The buffer grows to one frame at most,
// and only for a sandbox that sends long frames: most stay small, and there are
// many.
func (r *Reader) fill() error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		grown := make([]byte, min(4*len(r.buf), MaxFrame))
		copy(grown, r.buf)
		r.buf = grown
	}
	n, err := r.r.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) && r.end > 0 {
		return io.ErrUnexpectedEOF
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

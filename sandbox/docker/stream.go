package docker

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/docker/docker/api/types"

	"github.com/preheat/preheat/sandbox/agent"
)

const (
	// A chunk of the Engine's stream has a header: a byte that tells stdout
	// from stderr, three zeros, and the length in four bytes big-endian.
	// https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerAttach
	chunkHeader = 8
	chunkStdout = 1
	chunkStderr = 2

	// keptDiagnostics bounds what is kept of the agent's own messages, in bytes.
	keptDiagnostics = 4 << 10

	// maxDiagnostics bounds what is read of them, in bytes: an agent that says
	// more would keep its reader busy, and nobody listening.
	maxDiagnostics = 1 << 20
)

// stream is the way to the agent: what it reads is the agent's standard output.
type stream struct {
	types.HijackedResponse
	left  uint32 // bytes of the current chunk of stdout not read yet; of the reader alone
	heard int64  // bytes of stderr so far; of the reader alone

	mu   sync.Mutex // guards said
	said []byte     // the agent's standard error
}

func newStream(h types.HijackedResponse) *stream { return &stream{HijackedResponse: h} }

// Read reads the agent's standard output and keeps its standard error aside.
func (s *stream) Read(p []byte) (int, error) {
	for s.left == 0 {
		var header [chunkHeader]byte
		if _, err := io.ReadFull(s.Reader, header[:]); err != nil {
			return 0, err
		}
		size := binary.BigEndian.Uint32(header[4:])
		switch header[0] {
		case chunkStdout:
			s.left = size
		case chunkStderr:
			if err := s.keep(int64(size)); err != nil {
				return 0, err
			}
		default:
			return 0, fmt.Errorf("docker: a chunk of unknown kind %d in the attached stream", header[0])
		}
	}
	n, err := s.Reader.Read(p[:min(len(p), int(s.left))])
	s.left -= uint32(n)
	return n, err
}

func (s *stream) keep(size int64) error {
	if s.heard += size; s.heard > maxDiagnostics {
		return fmt.Errorf("%w: more than %d bytes of standard error", agent.ErrProtocol, maxDiagnostics)
	}
	s.mu.Lock()
	room := int64(keptDiagnostics - len(s.said))
	s.mu.Unlock()
	kept := make([]byte, min(size, room))
	if _, err := io.ReadFull(s.Reader, kept); err != nil {
		return err
	}
	s.mu.Lock()
	s.said = append(s.said, kept...)
	s.mu.Unlock()
	_, err := io.CopyN(io.Discard, s.Reader, size-int64(len(kept)))
	return err
}

// diagnostics returns what the agent said on its standard error, in one line of
// printable characters.
func (s *stream) diagnostics() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(string(s.said)))
}

func (s *stream) Write(p []byte) (int, error) { return s.Conn.Write(p) }

func (s *stream) Close() error { return s.Conn.Close() }

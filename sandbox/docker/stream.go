package docker

import (
	"encoding/binary"
	"fmt"
	"io"

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
)

// stream is the way to the agent: what it reads is the agent's standard output.
type stream struct {
	types.HijackedResponse
	left uint32 // bytes of the current chunk of stdout not read yet; of the reader alone
	said agent.Diagnostics
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
			if _, err := io.CopyN(&s.said, s.Reader, int64(size)); err != nil {
				return 0, fmt.Errorf("docker: in a chunk of the attached stream: %w", err)
			}
		default:
			return 0, fmt.Errorf("docker: a chunk of unknown kind %d in the attached stream", header[0])
		}
	}
	n, err := s.Reader.Read(p[:min(len(p), int(s.left))])
	s.left -= uint32(n)
	return n, err
}

func (s *stream) Write(p []byte) (int, error) { return s.Conn.Write(p) }

func (s *stream) Close() error { return s.Conn.Close() }

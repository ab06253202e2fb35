package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/docker/docker/api/types"

	"github.com/preheat/preheat/sandbox/agent"
)

func chunk(kind byte, content string) string {
	b := []byte{kind, 0, 0, 0}
	return string(binary.BigEndian.AppendUint32(b, uint32(len(content)))) + content
}

func streamOf(s string) *stream {
	return newStream(types.HijackedResponse{Reader: bufio.NewReader(strings.NewReader(s))})
}

func TestStreamKeepsDiagnosticsApart(t *testing.T) {
	s := streamOf(chunk(1, "ab") + chunk(2, "no such\nthing\x1b[2J") + chunk(1, "") + chunk(1, "c"))
	got, err := io.ReadAll(s)
	if string(got) != "abc" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if said := s.said.String(); said != "no such thing[2J" {
		t.Errorf("diagnostics are %q", said)
	}
}

func TestStreamBoundsDiagnostics(t *testing.T) {
	s := streamOf(strings.Repeat(chunk(2, strings.Repeat("x", 3000)), 50) + chunk(1, "end"))
	if got, err := io.ReadAll(s); string(got) != "end" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if n := len(s.said.String()); n != agent.KeptDiagnostics {
		t.Errorf("kept %d bytes, want %d", n, agent.KeptDiagnostics)
	}
}

func TestStreamEndsWhenDiagnosticsDoNot(t *testing.T) {
	s := streamOf(strings.Repeat(chunk(2, strings.Repeat("x", 60<<10)), 18) + chunk(1, "end"))
	if got, err := io.ReadAll(s); len(got) > 0 || !errors.Is(err, agent.ErrProtocol) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestStreamThatIsCutOffIsAnError(t *testing.T) {
	for _, text := range []string{chunk(1, "abc")[:5], chunk(2, "abc")[:10], chunk(7, "abc")} {
		if _, err := io.ReadAll(streamOf(text)); err == nil {
			t.Errorf("%q was read without an error", text)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(chunk(1, "ab") + chunk(2, "x") + chunk(1, "c")))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'a'})
	f.Add([]byte{2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'a'})
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newStream(types.HijackedResponse{Reader: bufio.NewReader(bytes.NewReader(text))})
		got, _ := io.ReadAll(s)
		if len(got) > len(text) || len(s.said.String()) > 4*agent.KeptDiagnostics {
			t.Errorf("%d bytes gave %d, and kept %d", len(text), len(got), len(s.said.String()))
		}
	})
}

package agent

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/preheat/preheat/sandbox"
)

func TestReaderReturnsTheFramesThatWereAppended(t *testing.T) {
	want := []Frame{
		{Ready, []byte{Version}},
		{Stdout, []byte("hello")},
		{Stderr, bytes.Repeat([]byte("x"), MaxPayload)},
		{Finished, nil},
	}
	var b []byte
	for _, f := range want {
		b = AppendFrame(b, f.Type, f.Payload)
	}
	for name, stream := range map[string]io.Reader{
		"at once":     bytes.NewReader(b),
		"by the byte": iotest.OneByteReader(bytes.NewReader(b)),
	} {
		r := NewReader(stream)
		for i, w := range want {
			f, err := r.Next()
			if err != nil || f.Type != w.Type || !bytes.Equal(f.Payload, w.Payload) {
				t.Fatalf("%s: frame %d is %#x of %d bytes, %v", name, i, f.Type, len(f.Payload), err)
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

func TestReaderTellsACutFrameFromTheEnd(t *testing.T) {
	b := AppendFrame(nil, Stdout, []byte("hello"))
	for n := 1; n < len(b); n++ {
		if _, err := NewReader(bytes.NewReader(b[:n])).Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestReaderRefusesALongFrameBeforeReadingIt(t *testing.T) {
	b := []byte{byte(Stdout), 0, 1, 0, 1} // 65,537 bytes
	if _, err := NewReader(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("read on")))).Next(); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v", err)
	}
}

func TestFilesComeBackFromTheirFrames(t *testing.T) {
	for _, size := range []int{0, 1, MaxPayload - 8, MaxPayload - 7, MaxPayload, 3 * MaxPayload} {
		want := sandbox.File{Name: "a/b.txt", Content: bytes.Repeat([]byte{'x'}, size)}
		r := NewReader(bytes.NewReader(AppendFile(nil, want)))
		var got []byte
		for {
			f, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || f.Type != File {
				t.Fatalf("%d bytes: frame %#x, %v", size, f.Type, err)
			}
			part, err := ParseFile(f.Payload)
			if err != nil || part.Name != want.Name {
				t.Fatalf("%d bytes: %q, %v", size, part.Name, err)
			}
			got = append(got, part.Content...)
		}
		if !bytes.Equal(got, want.Content) {
			t.Errorf("%d bytes came back as %d", size, len(got))
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(AppendFrame(AppendFrame(nil, Ready, []byte{Version}), Stdout, []byte("x")))
	f.Add([]byte{byte(Stdout), 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{byte(Finished), 0, 0, 0, 9, '{'})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		total := 0
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			total += HeaderBytes + len(frame.Payload)
			if len(frame.Payload) > MaxPayload || len(r.buf) > MaxFrame {
				t.Fatalf("a payload of %d bytes, a buffer of %d", len(frame.Payload), len(r.buf))
			}
		}
		if total > len(stream) {
			t.Errorf("%d bytes held frames of %d", len(stream), total)
		}
	})
}

func FuzzParseFile(f *testing.F) {
	f.Add(AppendFile(nil, sandbox.File{Name: "main.py", Content: []byte("x")})[HeaderBytes:])
	f.Add([]byte("\x00\x0c../../passwdx"))
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		file, err := ParseFile(payload)
		if err != nil {
			return
		}
		if strings.HasPrefix(file.Name, "/") || strings.Contains("/"+file.Name+"/", "/../") || strings.ContainsAny(file.Name, "\x00\\") {
			t.Errorf("accepted the name %q", file.Name)
		}
	})
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"token":"T","omitted":1,"exit_code":0,"oom_kills":0,"flooded":false,"truncated":false,"cpu_us":1,"memory_bytes":2}`))
	f.Add([]byte(`{"exit_code":-1}`))
	f.Add([]byte(`{"exit_code":0}{"exit_code":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := ParseReport(payload)
		if err == nil && (r.ExitCode < 0 || r.ExitCode > 255 || r.MemoryBytes < 0 || r.Omitted < 0) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzParseRun(f *testing.F) {
	f.Add([]byte(`{"args":["a"],"env":{"A":"B"},"output_bytes":1,"flood_bytes":2}`))
	f.Add([]byte(`{"entry":"a.py","memory_bytes":1,"token":"T","command":["sh"],"collect":["**"],"collect_files":1,"collect_bytes":1}`))
	f.Add([]byte(`{"output_bytes":-1}`))
	f.Add([]byte(`{"collect_files":-1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, err := ParseRun(payload)
		if err == nil && (h.OutputBytes < 0 || h.FloodBytes < 0 || h.CollectFiles < 0 || h.CollectBytes < 0) {
			t.Errorf("accepted %+v", h)
		}
	})
}

package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// told drains what e has to send and gives it as lines: an event's name, and
// what was printed or the data.
func told(e *events) (lines []string, more bool) {
	pieces, more := e.take()
	for _, p := range pieces {
		line := p.name
		if p.text != nil {
			line += " " + string(p.text)
		}
		lines = append(lines, line)
	}
	return lines, more
}

func TestEventsKeepTheOrderInWhichThingsHappened(t *testing.T) {
	e := newEvents(task{id: "id", language: sandbox.Language{Name: "python"}})
	e.started(time.Millisecond)
	e.started(time.Second) // in another sandbox
	e.Stdout([]byte("a"))
	e.Stdout([]byte("b"))
	e.Stderr([]byte("c"))
	e.Stdout([]byte("d"))
	if got, more := told(e); !more || !slices.Equal(got, []string{"started", "stdout ab", "stderr c", "stdout d"}) {
		t.Errorf("got %q, more %v", got, more)
	}
	e.Stdout([]byte("e"))
	if !e.finish(runAnswer{Files: []answerFile{{Name: "f"}, {Name: "g"}}}, nil) {
		t.Error("the client does not learn of the end")
	}
	if got, more := told(e); more || !slices.Equal(got, []string{"stdout e", "file", "file", "result"}) {
		t.Errorf("got %q, more %v", got, more)
	}
}

func TestAFailureIsAnEventOnlyAfterTheStart(t *testing.T) {
	e := newEvents(task{})
	if e.finish(runAnswer{}, errDraining) {
		t.Error("a run that has not begun tells of its error by an event")
	}
	if err := e.await(); !errors.Is(err, errDraining) {
		t.Errorf("await returned %v", err)
	}
	e = newEvents(task{})
	e.started(0)
	if err := e.await(); err != nil {
		t.Errorf("await returned %v", err)
	}
	e.Stdout([]byte("\xe2"))
	if !e.finish(runAnswer{}, errors.New("secret")) {
		t.Error("a run that has begun does not tell of its error")
	}
	pieces, _ := e.take()
	var b bytes.Buffer
	for _, p := range pieces[1:] {
		p.write(&b)
	}
	want := "event: stdout\ndata: {\"text\":\"\\ufffd\"}\n\n" +
		"event: error\ndata: {\"error\":\"Something went wrong in the server; its log says what\",\"code\":\"internal\"}\n\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}

func TestAnEventIsOneLineOfJSON(t *testing.T) {
	var b bytes.Buffer
	piece{name: "stdout", text: []byte("<a>&\r\n\n\x00\u2028é")}.write(&b)
	if got, want := b.String(), "event: stdout\ndata: {\"text\":\"<a>&\\r\\n\\n\\u0000\\u2028é\"}\n\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCharactersAreWholeHoweverTheyAreWritten(t *testing.T) {
	for _, tt := range []struct {
		writes []string
		want   []string // what the client may take at each write, then at the end
	}{
		{[]string{"\xc3", "\xa9"}, []string{"", "é", ""}},
		{[]string{"a\xf0\x9d", "\x84", "\x9eb"}, []string{"a", "", "𝄞b", ""}},
		{[]string{"\xe2\x82", "\xacx\xe2"}, []string{"", "€x", "\xe2"}},
		{[]string{"\xff", "\x80"}, []string{"\xff", "\x80", ""}},
		{[]string{"\xe2", "A"}, []string{"", "\xe2A", ""}},
		{[]string{"\xf0\x9d\x84"}, []string{"", "\xf0\x9d\x84"}},
		{[]string{"", "\xed\xa0\x80"}, []string{"", "\xed\xa0\x80", ""}}, // half of a surrogate pair
	} {
		e := newEvents(task{})
		for i, w := range append(tt.writes, "") {
			if i < len(tt.writes) {
				e.Stdout([]byte(w))
			} else {
				e.finish(runAnswer{}, nil)
			}
			got := ""
			pieces, _ := e.take()
			for _, p := range pieces {
				got += string(p.text)
			}
			if got != tt.want[i] {
				t.Errorf("%q: after %d writes there is %q, want %q", tt.writes, i+1, got, tt.want[i])
			}
		}
	}
}

// What a client puts together is what /run answers, byte for byte.
func FuzzOutputInPieces(f *testing.F) {
	f.Add([]byte("aé€𝄞\xff\xe2\x82"), uint64(1))
	f.Add([]byte("\xf0\x9d\x84\xf0\x9d\x84\x9e\xc3"), uint64(2))
	f.Fuzz(func(t *testing.T, output []byte, seed uint64) {
		e := newEvents(task{})
		random := rand.New(rand.NewPCG(seed, 0))
		var got strings.Builder
		collect := func() {
			pieces, _ := e.take()
			for _, p := range pieces {
				if p.text == nil {
					continue
				}
				var b bytes.Buffer
				p.write(&b)
				_, data, _ := strings.Cut(b.String(), "\ndata: ")
				var event outputEvent
				if err := json.Unmarshal([]byte(data), &event); err != nil {
					t.Fatal(err)
				}
				got.WriteString(event.Text)
			}
		}
		for rest := output; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			e.Stdout(rest[:n])
			rest = rest[n:]
			if random.IntN(2) == 0 {
				collect()
			}
		}
		e.finish(runAnswer{}, nil)
		collect()
		var whole string
		if err := json.Unmarshal(encodeJSON(string(output)), &whole); err != nil {
			t.Fatal(err)
		}
		if got.String() != whole {
			t.Errorf("got %q, want %q", got.String(), whole)
		}
	})
}

func TestWhatWaitsForAClientIsBoundedAndWhole(t *testing.T) {
	e := newEvents(task{})
	e.started(0)
	var stdout, stderr strings.Builder
	for i := range 3 * maxPieces {
		out, err := fmt.Sprintf("o%d ", i), fmt.Sprintf("e%d ", i)
		e.Stdout([]byte(out))
		e.Stderr([]byte(err))
		stdout.WriteString(out)
		stderr.WriteString(err)
	}
	e.finish(runAnswer{}, nil)
	pieces, _ := e.take()
	if len(pieces) > maxPieces+1 { // and the result
		t.Errorf("%d pieces wait", len(pieces))
	}
	got := map[string]string{}
	for _, p := range pieces {
		got[p.name] += string(p.text)
	}
	if got["stdout"] != stdout.String() || got["stderr"] != stderr.String() {
		t.Error("some of the output is missing or out of its own order")
	}
}

func TestOutputOfOneKindBehindManyOfTheOtherIsKept(t *testing.T) {
	e := newEvents(task{})
	for range maxPieces { // none of them is stderr
		e.change(func() { e.add("file", nil) })
	}
	e.Stderr([]byte("a"))
	e.Stderr([]byte("b"))
	if lines, _ := told(e); len(lines) != maxPieces+1 || lines[maxPieces] != "stderr ab" {
		t.Errorf("%d events wait, the last is %q", len(lines), lines[len(lines)-1])
	}
}

// event is one of a stream, as a client reads it.
type event struct{ name, data string }

// readEvent gives the next event; comments are passed over.
func readEvent(r *bufio.Reader) (e event, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" && e.name != "":
			return e, nil
		case line == "": // after a comment
		case name == "event":
			e.name = value
		case name == "data":
			e.data = value
		case name == "": // a comment
		default:
			return e, fmt.Errorf("the line %q", line)
		}
	}
}

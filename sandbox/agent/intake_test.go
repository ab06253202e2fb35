package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat/preheat/sandbox"
)

// all is what the tests' programs collect.
var all = sandbox.Collect{Patterns: []string{"**"}, MaxFiles: 2, MaxBytes: 100}

func file(name, content string) []byte {
	return AppendFile(nil, sandbox.File{Name: name, Content: []byte(content)})
}

func collecting(c sandbox.Collect) sandbox.Program {
	p := hello()
	p.Collect = c
	return p
}

func TestFilesComeBackWithTheResult(t *testing.T) {
	big := strings.Repeat("0123456789", 20_000)
	for name, test := range map[string]struct {
		words []byte
		want  []sandbox.File
	}{
		"none":           {nil, nil},
		"an empty one":   {file("a", ""), []sandbox.File{{Name: "a", Content: []byte{}}}},
		"one and a long": {slices.Concat(file("a", "x"), file("b/c", big)), []sandbox.File{{Name: "a", Content: []byte("x")}, {Name: "b/c", Content: []byte(big)}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, func(agent net.Conn) { agent.Write(append(test.words, result(Report{ExitCode: 1, Omitted: 3})...)) })
			p := collecting(all)
			p.Collect.MaxBytes = 1 << 20
			res, err := c.Run(t.Context(), p, new(sandbox.Capture))
			if diff := cmp.Diff(test.want, res.Files); err != nil || diff != "" || res.FilesOmitted != 3 {
				t.Errorf("%+v, %v\n%s", res.FilesOmitted, err, diff)
			}
		})
	}
}

func TestAProgramThatWasEndedLeavesNoFiles(t *testing.T) {
	for name, report := range map[string]Report{
		"flood":  {Flooded: true, Omitted: 1},
		"memory": {ExitCode: 137, OOMKills: 1, Omitted: 1},
	} {
		c := connect(t, func(agent net.Conn) { agent.Write(append(file("a", "x"), result(report)...)) })
		if res, err := c.Run(t.Context(), collecting(all), new(sandbox.Capture)); err != nil || res.Files != nil || res.FilesOmitted != 0 {
			t.Errorf("%s: got %+v, %v", name, res, err)
		}
	}
}

func TestTheLanguageCollectsWhereTheProgramHasLimits(t *testing.T) {
	lang := lang
	lang.Collect = []string{"figure-*.png"}
	for _, test := range []struct {
		collect sandbox.Collect
		want    int
	}{{sandbox.Collect{}, 0}, {sandbox.Collect{MaxFiles: 1, MaxBytes: 10}, 1}} {
		host, agent := net.Pipe()
		go func() { // ends with the pipe
			agent.Write(ready)
			program(agent)
			words := result(Report{})
			if test.want > 0 {
				words = append(file("figure-1.png", "x"), words...)
			}
			agent.Write(words)
		}()
		c, err := Handshake(t.Context(), lang, token, host)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := c.Run(t.Context(), collecting(test.collect), new(sandbox.Capture)); err != nil || len(res.Files) != test.want {
			t.Errorf("got %+v, %v", res, err)
		}
		c.Close()
		agent.Close()
	}
}

func TestFilesThatWereNotAskedForBreakTheConnection(t *testing.T) {
	text := all
	text.Patterns = []string{"*.txt"}
	for name, test := range map[string]struct {
		collect sandbox.Collect
		words   []byte
	}{
		"none was":               {sandbox.Collect{}, file("a", "x")},
		"none was, with limits":  {sandbox.Collect{MaxFiles: 1, MaxBytes: 1}, file("a", "x")},
		"another name was":       {text, file("a.png", "x")},
		"too many":               {all, slices.Concat(file("a", ""), file("b", ""), file("c", ""))},
		"too many bytes":         {all, file("a", strings.Repeat("x", 101))},
		"too many bytes in two":  {all, slices.Concat(file("a", strings.Repeat("x", 60)), file("b", strings.Repeat("x", 60)))},
		"too many bytes in bits": {all, bytes.Repeat(file("a", "x"), 101)},
		"a name that climbs":     {all, AppendFrame(nil, File, []byte("\x00\x04../xx"))},
		"an absolute name":       {all, AppendFrame(nil, File, []byte("\x00\x04/etcx"))},
		"a name longer than it":  {all, AppendFrame(nil, File, []byte("\xff\xffa"))},
		"no name":                {all, AppendFrame(nil, File, []byte("\x00\x00x"))},
		"nothing":                {all, AppendFrame(nil, File, nil)},
		"a name comes back":      {all, slices.Concat(file("a", "x"), file("b", ""), file("a", "y"))},
		"out of order":           {all, slices.Concat(file("b", ""), file("a", ""))},
		"an empty part":          {all, slices.Concat(file("a", "x"), file("a", ""))},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, func(agent net.Conn) { agent.Write(append(test.words, result(Report{})...)) })
			if res, err := c.Run(t.Context(), collecting(test.collect), new(sandbox.Capture)); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %+v, %v", res, err)
			}
		})
	}
}

func TestAFileAfterTheResultIsOfNoRun(t *testing.T) {
	c := connect(t, func(agent net.Conn) { agent.Write(append(result(Report{}), file("a", "x")...)) })
	if res, err := c.Run(t.Context(), collecting(all), new(sandbox.Capture)); err != nil || res.Files != nil {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestAResultWithoutTheTokenIsForged(t *testing.T) {
	for name, given := range map[string]string{"none": "", "a part": "TTTT", "another": strings.Repeat("A", len(token))} {
		forged, err := json.Marshal(Report{Token: given})
		if err != nil {
			t.Fatal(err)
		}
		c := connect(t, func(agent net.Conn) { agent.Write(append(AppendFrame(nil, Finished, forged), result(Report{})...)) })
		if res, err := c.Run(t.Context(), hello(), new(sandbox.Capture)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: got %+v, %v", name, res, err)
		}
	}
}

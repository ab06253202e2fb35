package httpapi

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestFilesComeBackWithTheirMediaType(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, p sandbox.Program, _ sandbox.Output) (sandbox.Result, error) {
		if !p.Collect.Match("a.bin") || p.Collect.MaxFiles != 3 || p.Collect.MaxBytes != 100 {
			t.Errorf("the program collects %+v", p.Collect)
		}
		files := []sandbox.File{{Name: "a.bin", Content: []byte("\x00\xff")}, {Name: "b/empty"}}
		return sandbox.Result{Status: sandbox.OK, Files: files, FilesOmitted: 2}, nil
	}
	r := start(t, fake, Config{MaxCollectFiles: 3, MaxCollectBytes: 100}).run(`{"code":"1","collect":["*.bin"]}`)
	want := `"truncated":false,"files":[{"name":"a.bin","content":"AP8=","encoding":"base64","media_type":"application/octet-stream","image":false,"bytes":2},` +
		`{"name":"b/empty","content":"","encoding":"base64","media_type":"text/plain; charset=utf-8","image":false,"bytes":0}],"files_omitted":2,"timing":{`
	if !strings.Contains(r.body, want) {
		t.Errorf("got  %s\nwant %s", r.body, want)
	}
}

func TestTheTimeOfAResizeIsShown(t *testing.T) {
	r := &ran{result: sandbox.Result{Resized: 1500 * time.Microsecond, Duration: 3 * time.Millisecond}, waited: time.Millisecond}
	got := string(encodeJSON(newRunAnswer(task{arrived: time.Now()}, r)))
	if want := `"timing":{"queue_ms":1,"resize_ms":1.5,"run_ms":3,"total_ms":`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMediaTypesGoByTheContent(t *testing.T) {
	for _, tt := range []struct {
		name, content, want string
		image               bool
	}{
		{"a.png", "\x89PNG\r\n\x1a\n", "image/png", true},
		{"a.txt", "\x89PNG\r\n\x1a\n", "image/png", true},
		{"a.jpg", "\xff\xd8\xff", "image/jpeg", true},
		{"a.gif", "GIF89a", "image/gif", true},
		{"a.webp", "RIFF\x00\x00\x00\x00WEBPVP", "image/webp", true},
		{"a.svg", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, "image/svg+xml", true},
		{"A.SVG", "<svg/>", "image/svg+xml", true},
		{"a.svg", "no drawing", "text/plain; charset=utf-8", false},
		{"a.png", "<html><script>alert(1)</script>", "text/plain; charset=utf-8", false},
		{"a.html", "<html><script>alert(1)</script>", "text/plain; charset=utf-8", false},
		{"a.xml", `<?xml version="1.0"?>`, "text/plain; charset=utf-8", false},
		{"a.json", `{"a":1}`, "application/json", false},
		{"a.csv", "a,b\n", "text/csv; charset=utf-8", false},
		{"a.csv", "\x00\x01", "application/octet-stream", false},
		{"a", "text", "text/plain; charset=utf-8", false},
		{"a.pdf", "%PDF-1.4", "application/pdf", false},
	} {
		got := newAnswerFile(sandbox.File{Name: tt.name, Content: []byte(tt.content)})
		if got.MediaType != tt.want || got.Image != tt.image {
			t.Errorf("%s with %q is %s, image %v", tt.name, tt.content, got.MediaType, got.Image)
		}
	}
}

func TestMemoryAndOutputAreWhatTheRequestNames(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	fake.OnRun = func(_ context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		out.Stdout([]byte(strings.Repeat("x", 2000)))
		if string(p.Stdin) == "out of memory" {
			return sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: sandbox.ExitKilled}, nil
		}
		return sandbox.Result{Status: sandbox.OK, Usage: sandbox.Usage{MemoryBytes: p.MemoryBytes}}, nil
	}
	ts := start(t, fake, Config{OutputBytes: 100, MaxOutputBytes: 1000, MaxMemoryBytes: 256 << 20})
	resized := regexp.MustCompile(`"resize_ms"`)
	for _, tt := range []struct {
		fields string
		memory int64
		stdout int
	}{
		{``, 0, 100},
		{`,"memory_mb":128`, 0, 100}, // the language's own
		{`,"memory_mb":256`, 256 << 20, 100},
		{`,"memory_mb":16,"output_bytes":1000`, 16 << 20, 1000},
		{`,"output_bytes":1`, 0, 1},
	} {
		r := ts.run(`{"code":"1"` + tt.fields + `}`)
		if got := r.ran(t); got.Usage.MemoryBytes != tt.memory || len(got.Stdout) != tt.stdout || !got.Truncated || resized.MatchString(r.body) {
			t.Errorf("%s gave %s", tt.fields, r.body)
		}
	}
	for fields, sentence := range map[string]string{
		`,"memory_mb":257`:     "The field memory_mb must be from 16 to 256",
		`,"memory_mb":0`:       "The field memory_mb must be from 16 to 256",
		`,"output_bytes":1001`: "The field output_bytes must be from 1 to 1000",
	} {
		if got := ts.run(`{"code":"1"`+fields+`}`).refused(t, CodeInvalidField); got.Error != sentence {
			t.Errorf("%s: %q", fields, got.Error)
		}
	}
	for fields, size := range map[string]string{``: "128 MiB", `,"memory_mb":200`: "200 MiB"} {
		got := ts.run(`{"code":"1","stdin":"out of memory"` + fields + `}`).ran(t)
		if got.Error == nil || *got.Error != "Out of memory: the limit is "+size {
			t.Errorf("%s: the error is %v", fields, got.Error)
		}
	}
}

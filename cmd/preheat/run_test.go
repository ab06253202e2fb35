package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox"
)

func TestPreheatEndsAsTheProgramDid(t *testing.T) {
	for _, test := range []struct {
		status sandbox.Status
		code   int
		want   int
	}{
		{sandbox.OK, 0, 0},
		{sandbox.Error, 3, 3},
		{sandbox.Error, 137, 137}, // a SIGKILL of its own
		{sandbox.Timeout, 137, 124},
		{sandbox.OutOfMemory, 137, 137},
		{sandbox.OutOfMemory, 1, 1}, // a child ran out of it
		{sandbox.OutputLimit, 137, 137},
		{sandbox.Error, 0, 137},
		{"", 0, 137},
	} {
		if got := exitCode(sandbox.Result{Status: test.status, ExitCode: test.code}); got != test.want {
			t.Errorf("%s with %d: %d, want %d", test.status, test.code, got, test.want)
		}
	}
}

func TestTheLanguageOfAFile(t *testing.T) {
	for _, test := range []struct{ file, language, server, want string }{
		{"a.py", "", "", "python"},
		{"d.x/a.mjs", "", "", "node"},
		{"a.py", "js", "", "node"},
		{"-", "py", "", "python"},
		{"a", "", "", ""},
		{"a.PY", "", "", ""},
		{"-", "", "", ""},
		{"a", "cobol", "", ""},
		{"a", "cobol", "http://x", "cobol"},
		{"-", "cobol", "http://x", ""},
	} {
		r := runOptions{language: test.language, server: test.server}
		got, err := r.folder(defaultOptions(), test.file)
		if got.Manifest.Name != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: got %q, %v", test, got.Manifest.Name, err)
		}
	}
}

func TestFilesForTheProgram(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{"a.txt": "a", "d/b.txt": "b", "d/e/c.txt": "c"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir("linked", 0o700), os.Symlink("/etc/passwd", "linked/x")); err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{
		"a.txt":           "a.txt=a",
		"x/y=a.txt":       "x/y=a",
		"d":               "d/b.txt=b d/e/c.txt=c",
		"z=" + dir + "/d": "z/b.txt=b z/e/c.txt=c",
		"nothing":         "no such file",
		"../x":            "NAME=PATH gives it another",
		dir + "/a.txt":    "NAME=PATH gives it another",
		"linked":          "linked/x is neither a folder nor a regular file",
	} {
		in := intake{left: 100}
		got := fmt.Sprint(in.named(word))
		if got == "<nil>" {
			var files []string
			for _, f := range in.files {
				files = append(files, f.Name+"="+string(f.Content))
			}
			got = strings.Join(files, " ")
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", word, got, want)
		}
	}
	in := intake{left: 2}
	if err := in.named("d"); err != nil {
		t.Errorf("two bytes of two: %v", err)
	}
	if err := in.named("a.txt"); err == nil {
		t.Error("a third is taken")
	}
	in = intake{left: 1, files: make([]sandbox.File, sandbox.MaxFiles)}
	if err := in.named("a.txt"); err == nil {
		t.Error("a file too many is taken")
	}
}

func TestFilesOfTheProgramStayInTheirFolder(t *testing.T) {
	outside := write(t, "precious", "as it was")
	dir := filepath.Join(t.TempDir(), "new", "out")
	file := func(name string) []sandbox.File { return []sandbox.File{{Name: name, Content: []byte("theirs")}} }
	for range 2 { // the second time they are there
		if err := keep(dir, slices.Concat(file("a"), file("d/e/b"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "d/e/b"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != "theirs" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Symlink(filepath.Dir(outside), filepath.Join(dir, "up")), os.Symlink("d", filepath.Join(dir, "within"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/x", "up/precious", "within/x", "a/x", "d", "x/../../y", ""} {
		if err := keep(dir, file(name)); err == nil {
			t.Errorf("%q is written", name)
		}
	}
	if err := keep(dir, file("link")); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link is not replaced: %v", err)
	}
	if got, _ := os.ReadFile(outside); string(got) != "as it was" {
		t.Errorf("outside is %q", got)
	}
}

// thereOf runs an empty job on a server.
func thereOf(t *testing.T, handler http.HandlerFunc) (stdout, stderr string, done outcome, err error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	r := runOptions{server: server.URL + "/below/"}
	var out sandbox.Capture
	done, err = r.runThere(t.Context(), job{language: "python", program: sandbox.Program{Entry: "a.py"}}, &out)
	stdout, stderr = out.Strings()
	return stdout, stderr, done, err
}

func TestARunOnAServer(t *testing.T) {
	t.Setenv("PREHEAT_KEY", "ph_secret")
	stdout, stderr, done, err := thereOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/below/run/stream" || r.Header.Get("Authorization") != "Bearer ph_secret" {
			t.Errorf("%s %s with %v", r.Method, r.URL, r.Header)
		}
		io.WriteString(w, ": beat\n\nevent: started\ndata: {\"id\":\"x\"}\n\nevent: stdout\ndata: {\"text\":\"a\\nb\"}\n\n"+
			"event: stderr\ndata:{\"text\":\"c\"}\r\n\r\nevent: unheard-of\ndata: ?\n\n"+
			`event: result`+"\n"+`data: {"status":"timeout","exit_code":137,"error":"It took too long","truncated":true,`+
			`"files":[{"name":"f","content":"AAE="}],"files_omitted":2}`+"\n\n")
	})
	res := done.result
	if err != nil || stdout != "a\nb" || stderr != "c" || done.sentence != "It took too long" || res.Status != sandbox.Timeout || res.ExitCode != 137 ||
		!res.Truncated || res.FilesOmitted != 2 || len(res.Files) != 1 || string(res.Files[0].Content) != "\x00\x01" {
		t.Errorf("%q, %q, %+v, %v", stdout, stderr, done, err)
	}
}

func TestWhatAServerMayDoWrong(t *testing.T) {
	for want, answer := range map[string]struct {
		status int
		header string
		body   string
	}{
		"the server refused: No (unauthorized)":              {401, "", `{"error":"No","code":"unauthorized"}`},
		"(queue_full); it may take it in 7 s":                {429, "Retry-After: 7", `{"error":"Full","code":"queue_full"}`},
		"the server answered 502 Bad Gateway":                {502, "", `<html>`},
		"the server answered 503 Service Unavailable":        {503, "", strings.Repeat("x", maxAnswerBytes+1)},
		"the server answered 307 Temporary Redirect":         {307, "Location: http://127.0.0.1:1/", ``},
		"the run failed on the server: Gone (engine_down)":   {200, "", "event: error\ndata: {\"error\":\"Gone\",\"code\":\"engine_down\"}\n\n"},
		"the server's answer ended before the run did":       {200, "", "event: started\ndata: {}\n\n"},
		"ended before the run did":                           {200, "", "event: result\ndata: {\"status\":\"ok\"}"},
		"the server's result: unexpected end":                {200, "", "event: result\ndata: {\"status\":\n\n"},
		"the server's result has the exit code 256":          {200, "", "event: result\ndata: {\"status\":\"error\",\"exit_code\":256}\n\n"},
		`the server's file "f": illegal base64`:              {200, "", "event: result\ndata: {\"files\":[{\"name\":\"f\",\"content\":\"?\"}]}\n\n"},
		"the server's answer: bufio.Scanner: token too long": {200, "", strings.Repeat("x", maxEventBytes+1)},
	} {
		_, _, _, err := thereOf(t, func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(answer.header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(answer.status)
			io.WriteString(w, answer.body)
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("event: result\ndata: {\"status\":\"ok\",\"files\":[{\"name\":\"a\"}]}\n\n")
	f.Add("event: stdout\ndata: {\"text\":\"a\"}\n\nevent: error\ndata: {}\n\n: x\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		var out sandbox.Capture
		done, err := follow(strings.NewReader(stream), &out, func() {})
		if code := exitCode(done.result); err == nil && (code < 0 || code > 255) {
			t.Errorf("the exit code is %d", code)
		}
	})
}

func TestOnlyWhatIsAskedForIsSent(t *testing.T) {
	body, err := encodeJob(job{"python", sandbox.Program{Entry: "a.py", Files: []sandbox.File{{Name: "a.py", Content: []byte("ü")}, {Name: "b", Content: []byte{0xff}}}, Env: []string{"A=b=c"}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"language":"python","entry":"a.py","files":[{"name":"a.py","content":"ü"},{"name":"b","content":"/w==","encoding":"base64"}],"env":{"A":"b=c"}}`
	if string(body) != want || !json.Valid(body) {
		t.Errorf("it is %s", body)
	}
	if _, err := encodeJob(job{program: sandbox.Program{Stdin: []byte{0xff}}}); err == nil {
		t.Error("a standard input that is not UTF-8 is sent")
	}
}

func TestKeyFiles(t *testing.T) {
	t.Setenv("PREHEAT_KEY", "from the environment")
	for file, want := range map[string]string{
		"":                        "from the environment",
		write(t, "key", "ph_x\n"): "ph_x",
		"/nonexistent":            "error",
		"/dev/zero":               "error",
	} {
		r := runOptions{keyFile: file}
		key, err := r.key()
		if err != nil {
			key = "error"
		}
		if key != want {
			t.Errorf("%s: %q, %v", file, key, err)
		}
	}
}

func TestAPrinterThatCannotPrintStopsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	r.Close()
	p := &printer{stdout: w, stderr: io.Discard, stop: cancel}
	p.Stderr([]byte("x"))
	if ctx.Err() != nil {
		t.Fatal("it is stopped too early")
	}
	p.Stdout([]byte("x"))
	if err := interrupted(ctx, errors.New("cut off")); !errors.Is(err, endedError{exitNobodyReads}) {
		t.Errorf("it ends with %v", err)
	}
}

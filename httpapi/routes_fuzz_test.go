package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
)

// Whatever is posted, the answer is well-formed and the server lives.
func FuzzRoutes(f *testing.F) {
	s, err := newServer(Config{MaxTests: 3, MaxAsync: 10}, &stub{})
	if err != nil {
		f.Fatal(err)
	}
	var paths []string
	for _, r := range s.routes() {
		if r.method == fiber.MethodPost {
			paths = append(paths, r.path)
		}
	}
	if !slices.Contains(paths, "/run") || len(paths) < 4 {
		f.Fatalf("the routes are %q", paths)
	}
	for _, bad := range badBodies {
		f.Add(uint(0), "application/json", []byte(bad.body))
	}
	for i := range uint(len(paths)) {
		f.Add(i, "application/json", []byte(`{"code":"1"}`))
		f.Add(i, "application/json; charset=utf-8", []byte(testsOf(`"code":"1"`, `{}`)))
		f.Add(i, formType, []byte(formOf(f, filePart("main.py", "1"), zipPart(zipOf(f, zipped{name: "a", content: "x"})))))
		f.Add(i, "text/plain", []byte("print(1)"))
	}
	f.Fuzz(func(t *testing.T, which uint, kind string, body []byte) {
		req := httptest.NewRequest(http.MethodPost, paths[which%uint(len(paths))], strings.NewReader(string(body)))
		req.Header["Content-Type"] = []string{strings.Map(inHeader, kind)}
		answer(t, s, req)
		if status, body := answer(t, s, httptest.NewRequest(http.MethodGet, "/healthz", nil)); status != 200 {
			t.Fatalf("/healthz is %d %s", status, body)
		}
	})
}

// inHeader makes of a rune one that a header may hold.
func inHeader(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// answer gives an answer whose body is checked to be what its headers say.
func answer(t *testing.T, s *Server, req *http.Request) (status int, body string) {
	t.Helper()
	resp, err := s.app.Test(req, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch kind := resp.Header.Get("Content-Type"); {
	case resp.StatusCode == 200 && kind == "text/event-stream":
		if !strings.HasPrefix(string(content), "event: ") || !strings.HasSuffix(string(content), "\n\n") {
			t.Errorf("the stream is %q", content)
		}
	case kind != "application/json" || !json.Valid(content):
		t.Errorf("got %d %s %q", resp.StatusCode, kind, content)
	case resp.StatusCode >= 400:
		reply{resp.StatusCode, resp.Header, string(content)}.refused(t, codeOf(content))
	}
	if resp.StatusCode >= 500 {
		t.Errorf("got %d %s", resp.StatusCode, content)
	}
	return resp.StatusCode, string(content)
}

func codeOf(body []byte) Code {
	var got errorAnswer
	_ = json.Unmarshal(body, &got) // refused complains
	return got.Code
}

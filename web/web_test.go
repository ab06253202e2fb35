package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's own: one notices its server's end within 10 s, one lives
		// as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

func TestFilesHaveTheirHeaders(t *testing.T) {
	app := fiber.New()
	Mount(app)
	for _, p := range pages {
		t.Run(p.path, func(t *testing.T) {
			first := httptest.NewRequest("GET", p.path, nil)
			first.Header.Set("Accept-Encoding", "gzip")
			resp, err := app.Test(first)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for name, want := range map[string]string{
				"Content-Type": p.contentType, "Content-Security-Policy": p.policy, "Cache-Control": "no-cache",
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Encoding": "gzip", "Vary": "Accept-Encoding",
			} {
				if got := resp.Header.Get(name); resp.StatusCode != 200 || got != want {
					t.Errorf("a %d with %s %q, want %q", resp.StatusCode, name, got, want)
				}
			}
			unpacked, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			sent, err := io.ReadAll(unpacked)
			if err != nil {
				t.Fatal(err)
			}

			resp, err = app.Test(httptest.NewRequest("GET", p.path, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			plain, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Header.Get("Content-Encoding") != "" || !bytes.Equal(plain, sent) {
				t.Error("without gzip it is not the same")
			}

			again := httptest.NewRequest("GET", p.path, nil)
			again.Header.Set("If-None-Match", resp.Header.Get("ETag"))
			resp, err = app.Test(again)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 304 || resp.ContentLength > 0 {
				t.Errorf("a second request is a %d with %d bytes", resp.StatusCode, resp.ContentLength)
			}
		})
	}
}

// maxBytes is the most that the page may weigh as it is sent.
const maxBytes = 250_000

func TestPageIsLight(t *testing.T) {
	total := 0
	for _, file := range []string{"index.html", "app.js", "style.css"} {
		content, err := assets.ReadFile("assets/" + file)
		if err != nil {
			t.Fatal(err)
		}
		total += len(pack(content))
	}
	if total > maxBytes {
		t.Errorf("the page has %d bytes, more than %d", total, maxBytes)
	}
	t.Logf("%d bytes, compressed", total)
}

func TestSourcesNameNoOtherPlaceAndMakeNoMarkupOfText(t *testing.T) {
	elsewhere := regexp.MustCompile(`["'(=](https?:)?//[a-z]`)
	svg := []byte(`"http://www.w3.org/2000/svg"`) // a name, not a place
	sources := os.DirFS("src")
	names, err := fs.Glob(sources, "*")
	if err != nil || len(names) < 10 {
		t.Fatalf("got %v, %v", names, err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(sources, name)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.ReplaceAll(content, svg, nil)
		if found := elsewhere.Find(content); found != nil && name != "break.json" {
			t.Errorf("%s names another place: %s", name, found)
		}
		for _, inner := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "setHTML", "document.write", "eval(", "new Function", " style="} {
			if strings.Contains(string(content), inner) {
				t.Errorf("%s uses %s", name, inner)
			}
		}
	}
}

package web

import (
	"net/http/httptest"
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
			resp, err := app.Test(httptest.NewRequest("GET", p.path, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for name, want := range map[string]string{
				"Content-Type": p.contentType, "Content-Security-Policy": policy, "Cache-Control": "no-cache",
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := resp.Header.Get(name); resp.StatusCode != 200 || got != want {
					t.Errorf("a %d with %s %q, want %q", resp.StatusCode, name, got, want)
				}
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

func TestFilesAreSmallAndNameNoOtherPlace(t *testing.T) {
	elsewhere := regexp.MustCompile(`(https?:)?//[a-z]`)
	total := 0
	for _, p := range pages {
		content, err := assets.ReadFile("assets/" + p.file)
		if err != nil {
			t.Fatal(err)
		}
		total += len(content)
		if found := elsewhere.Find(content); found != nil {
			t.Errorf("%s names another place: %s", p.file, found)
		}
		for _, inner := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(string(content), inner) {
				t.Errorf("%s uses %s", p.file, inner)
			}
		}
	}
	if total > 30_000 {
		t.Errorf("the page has %d bytes, more than 30,000", total)
	}
}

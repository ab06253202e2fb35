package images

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox/languages"
)

// engine answers the client's requests in its transport.
type engine func(*http.Request) (*http.Response, error)

func (e engine) RoundTrip(r *http.Request) (*http.Response, error) { return e(r) }

func answer(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body)}
}

// absent is an engine without images whose pulls pull answers.
func absent(pull func(*http.Request) (*http.Response, error)) engine {
	return func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/images/create") {
			return pull(r)
		}
		if strings.HasSuffix(r.URL.Path, "/containers/json") {
			return answer(http.StatusOK, strings.NewReader("[]")), nil
		}
		return answer(http.StatusNotFound, strings.NewReader(`{"message": "no such image"}`)), nil
	}
}

func builderOn(t *testing.T, e engine) *Builder {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: e}), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	return New(cli, Config{})
}

func debianless(base languages.Base) languages.Folder {
	return languages.Folder{Manifest: languages.Manifest{Name: "lua"}, Recipe: languages.Recipe{Base: base}}
}

func TestASilentRegistryIsGivenUpAfterThePullWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := builderOn(t, absent(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		start := time.Now()
		_, err := b.base(t.Context(), debianless(languages.Base{Image: "lua:5"}), Options{}, t.Logf)
		if err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("error %v, want that the registry does not answer", err)
		}
		if took := time.Since(start); took != b.cfg.PullWait {
			t.Errorf("it took %v, want %v", took, b.cfg.PullWait)
		}
	})
}

func TestAPullThatStallsInMidLayerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := builderOn(t, absent(func(r *http.Request) (*http.Response, error) {
			pr, pw := io.Pipe()
			go func() {
				_, _ = io.WriteString(pw, `{"status": "Pulling from library/lua", "id": "5"}`)
				<-r.Context().Done()
				pw.CloseWithError(r.Context().Err())
			}()
			return answer(http.StatusOK, pr), nil
		}))
		start := time.Now()
		_, err := b.base(t.Context(), debianless(languages.Base{Image: "lua:5"}), Options{}, t.Logf)
		if err == nil || time.Since(start) != pullStall {
			t.Errorf("error %v after %v, want one after %v", err, time.Since(start), pullStall)
		}
	})
}

func TestARegistryThatRefusesLeadsToDebian(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := builderOn(t, absent(func(*http.Request) (*http.Response, error) {
		return answer(http.StatusOK, strings.NewReader(`{"error": "toomanyrequests"}`)), nil
	}))
	var said []string
	f := debianless(languages.Base{Image: "lua:5", Debian: &languages.Debian{Suite: "bookworm"}})
	_, err := b.Build(t.Context(), f, []byte("agent"), Options{}, func(line string) { said = append(said, line) })
	if err == nil || !strings.Contains(err.Error(), "apt-get install mmdebstrap") || !strings.Contains(err.Error(), "toomanyrequests") {
		t.Errorf("error %v, want both reasons and how to get mmdebstrap", err)
	}
	if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "taking Debian instead") }) {
		t.Errorf("progress %q does not say that Debian is taken", said)
	}
}

func TestTheBaseThatIsAskedForIsNotReplaced(t *testing.T) {
	pulls := 0
	b := builderOn(t, absent(func(*http.Request) (*http.Response, error) {
		pulls++
		return answer(http.StatusOK, strings.NewReader(`{"error": "denied"}`)), nil
	}))
	f := debianless(languages.Base{Image: "lua:5", Debian: &languages.Debian{Suite: "bookworm"}})
	if _, err := b.base(t.Context(), f, Options{Base: Registry}, t.Logf); err == nil || !strings.Contains(err.Error(), "denied") {
		t.Errorf("error %v, want the registry's", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := b.base(t.Context(), f, Options{Base: Debian}, t.Logf); err == nil || pulls != 1 {
		t.Errorf("error %v and %d pulls, want mmdebstrap's and the one from before", err, pulls)
	}
	if _, err := b.base(t.Context(), f, Options{Base: "alpine"}, t.Logf); err == nil {
		t.Error("an unknown base is accepted")
	}
}

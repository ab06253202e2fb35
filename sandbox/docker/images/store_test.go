package images

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/client"
)

// engine answers the client's requests in its transport.
type engine func(*http.Request) (*http.Response, error)

func (e engine) RoundTrip(r *http.Request) (*http.Response, error) { return e(r) }

func answer(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body)}
}

func storeOn(t *testing.T, e engine) *Store {
	t.Helper()
	cli, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: e}), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	return New(cli, DefaultPrefix)
}

func TestAPullTellsWhatTheEngineSaysAndWhyItFails(t *testing.T) {
	s := storeOn(t, func(*http.Request) (*http.Response, error) {
		return answer(http.StatusOK, strings.NewReader(`{"status": "Pulling", "id": "5"} {"status": "Downloading", "progressDetail": {"total": 9}} {"error": "toomanyrequests"}`)), nil
	})
	var heard []string
	err := s.Pull(t.Context(), "lua:5", func(line string) { heard = append(heard, line) })
	if err == nil || err.Error() != "toomanyrequests" {
		t.Errorf("error %v, want the engine's", err)
	}
	if want := []string{"Pulling 5", ""}; !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

func TestAWriterThatFailsLeavesTheEngineNoWholeTar(t *testing.T) {
	var failed error
	s := storeOn(t, func(r *http.Request) (*http.Response, error) {
		_, failed = io.Copy(io.Discard, r.Body)
		return nil, failed
	})
	_, err := s.Import(t.Context(), "x:1", func(w io.Writer) error {
		_, _ = io.WriteString(w, "the beginning")
		return io.ErrUnexpectedEOF
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) || failed == nil {
		t.Errorf("error %v, and the engine's %v", err, failed)
	}
}

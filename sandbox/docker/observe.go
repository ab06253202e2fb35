package docker

import (
	"context"
	"errors"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
)

// The words for calls of the Engine that are not in the table.
const (
	attach = "attach" // its connection does not go through the client's transport
	other  = "other"
)

// operations give calls a word by their method and path, without the API's
// version.
var operations = []struct{ method, path, word string }{
	{http.MethodPost, "/containers/create", "create"},
	{http.MethodPost, "/containers/*/start", "start"},
	{http.MethodGet, "/containers/*/json", "inspect"},
	{http.MethodPost, "/containers/*/update", "update"},
	{http.MethodDelete, "/containers/*", "remove"},
	{http.MethodGet, "/containers/json", "list"},
	{http.MethodGet, "/info", "info"},
	{http.MethodGet, "/events", "events"},
}

// Operations are all words for calls of the Engine.
func Operations() []string {
	all := []string{attach, other}
	for _, o := range operations {
		all = append(all, o.word)
	}
	return all
}

var apiVersion = regexp.MustCompile(`^.*?/v[0-9.]+/`)

func operationOf(method, url string) string {
	url = apiVersion.ReplaceAllString(url, "/")
	for _, o := range operations {
		if ok, _ := path.Match(o.path, url); ok && o.method == method {
			return o.word
		}
	}
	return other
}

// Observe is told of every call of the Engine: one of [Operations], how long it
// took until the answer began, and whether the Engine failed. It is called by
// several goroutines and should not block.
type Observe func(operation string, took time.Duration, failed bool)

// call tells of a call that begins now and ends when done is called. One that
// its caller gave up did not fail.
func (o Observe) call(operation string) (done func(error)) {
	start := time.Now()
	return func(err error) {
		o(operation, time.Since(start), err != nil && !errors.Is(err, context.Canceled))
	}
}

// watched is a client's transport that tells of every call.
type watched struct {
	http.RoundTripper
	observe Observe
}

var errAnswered = errors.New("docker: the engine answered with an error of its own")

// RoundTrip tells of the call.
func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	done := w.observe.call(operationOf(r.Method, r.URL.Path))
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil && resp.StatusCode >= http.StatusInternalServerError {
		done(errAnswered)
	} else {
		done(err)
	}
	return resp, err
}

// watch makes api tell of its calls.
func (o Observe) watch(api *client.Client) error {
	c := api.HTTPClient()
	c.Transport = watched{c.Transport, o}
	return client.WithHTTPClient(c)(api)
}

// Sandboxes returns the ids of this instance's containers that the Engine has,
// dead or alive, those that are being launched included.
func (d *Driver) Sandboxes(ctx context.Context) ([]string, error) {
	found, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", LabelInstance+"="+d.cfg.Instance))})
	if err != nil {
		return nil, wrap("list containers", err)
	}
	ids := make([]string, len(found))
	for i, c := range found {
		ids[i] = c.ID
	}
	return ids, nil
}

// Why launches fail; words for a metric.
const (
	reasonEngineDown   = "engine_down"   // the Engine does not answer
	reasonImageMissing = "image_missing" // the Engine does not have it
	reasonNotWarm      = "not_warm"      // the container ended before it was warm, or its time was up
	reasonRefused      = "refused"       // the Engine did not create or start it
	reasonOther        = "other"
)

// LaunchReasons are all words of LaunchReason.
var LaunchReasons = []string{reasonEngineDown, reasonImageMissing, reasonNotWarm, reasonRefused, reasonOther}

// launchError is an error of Launch, with its reason.
type launchError struct {
	error
	reason string
}

func (e *launchError) Unwrap() error { return e.error }

// LaunchReason says in a word why Launch failed.
func LaunchReason(err error) string {
	if errors.Is(err, sandbox.ErrEngine) {
		return reasonEngineDown
	}
	if e, ok := errors.AsType[*launchError](err); ok {
		return e.reason
	}
	return reasonOther
}

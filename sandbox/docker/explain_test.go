package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

// scriptedEngine is the Engine at the transport of its client: it has one
// container, c1, and sends one event if it is told to.
type scriptedEngine struct {
	began   time.Time
	inspect func(since time.Duration) (status int, state container.State)
	oomAt   time.Duration // when the oom event is sent; zero is never
	gone    bool          // it can no longer be connected to
}

func (f *scriptedEngine) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body any) (*http.Response, error) {
		b, err := json.Marshal(body)
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(string(b))), Header: http.Header{}, Request: r}, err
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/events"):
		out, in := io.Pipe()
		context.AfterFunc(r.Context(), func() { in.CloseWithError(r.Context().Err()) })
		if f.oomAt > 0 {
			time.AfterFunc(time.Until(f.began.Add(f.oomAt)), func() {
				json.NewEncoder(in).Encode(events.Message{Type: events.ContainerEventType, Action: events.ActionOOM, Actor: events.Actor{ID: "c1"}})
			})
		}
		return &http.Response{StatusCode: http.StatusOK, Body: out, Header: http.Header{}, Request: r}, nil
	case strings.HasSuffix(r.URL.Path, "/containers/c1/json") && f.gone:
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: errors.New("connection refused")}
	case strings.HasSuffix(r.URL.Path, "/containers/c1/json"):
		status, state := f.inspect(time.Since(f.began))
		return answer(status, map[string]any{"Id": "c1", "State": state, "message": "no"})
	}
	return answer(http.StatusOK, map[string]any{})
}

func TestALostAgentIsExplained(t *testing.T) {
	state := func(s container.State) func(time.Duration) (int, container.State) {
		return func(time.Duration) (int, container.State) { return http.StatusOK, s }
	}
	killed := container.State{ExitCode: 137}
	for name, test := range map[string]struct {
		engine scriptedEngine
		want   sandbox.Status
		within time.Duration
		err    bool
	}{
		"the kernel killed all of the container":   {scriptedEngine{inspect: state(container.State{ExitCode: 137, OOMKilled: true})}, sandbox.OutOfMemory, 0, false},
		"the container still runs, and had a kill": {scriptedEngine{inspect: state(container.State{Running: true, OOMKilled: true})}, sandbox.OutOfMemory, 0, false},
		"the inspection knows late": {scriptedEngine{inspect: func(since time.Duration) (int, container.State) {
			return http.StatusOK, container.State{Running: since < time.Second/2, ExitCode: 137, OOMKilled: since > time.Second}
		}}, sandbox.OutOfMemory, 1100 * time.Millisecond, false},
		"the event comes long after the death": {scriptedEngine{inspect: state(killed), oomAt: 1500 * time.Millisecond}, sandbox.OutOfMemory, 1500 * time.Millisecond, false},
		"the event came before the end":        {scriptedEngine{inspect: state(container.State{ExitCode: 1}), oomAt: time.Millisecond}, sandbox.OutOfMemory, time.Millisecond, false},
		"an operator killed the container":     {scriptedEngine{inspect: state(killed)}, sandbox.Error, verdict, false},
		"the agent gave up":                    {scriptedEngine{inspect: state(container.State{ExitCode: 1})}, sandbox.Error, afterthought, false},
		"the agent lives but broke the stream": {scriptedEngine{inspect: state(container.State{Running: true})}, sandbox.Error, verdict, false},
		"the container was removed": {scriptedEngine{inspect: func(time.Duration) (int, container.State) {
			return http.StatusNotFound, container.State{}
		}}, sandbox.Error, afterthought, false},
		"the engine fails": {scriptedEngine{inspect: func(time.Duration) (int, container.State) {
			return http.StatusInternalServerError, container.State{}
		}}, "", 0, true},
		"the engine is gone": {scriptedEngine{gone: true}, "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, took, err := runOn(t, &test.engine)
				if res.Status != test.want || (err != nil) != test.err || took > test.within {
					t.Errorf("got %+v after %s, %v; want %q within %s", res, took, err, test.want, test.within)
				}
				if test.engine.gone && !errors.Is(err, sandbox.ErrEngine) {
					t.Errorf("%v is not marked as the engine's", err)
				}
				if err == nil && (res.ExitCode != sandbox.ExitKilled || res.Duration != 0) {
					t.Errorf("got %+v", res)
				}
			})
		})
	}
}

// runOn runs a program on a sandbox whose agent hangs up when it has come.
func runOn(t *testing.T, engine *scriptedEngine) (sandbox.Result, time.Duration, error) {
	t.Helper()
	engine.began = time.Now()
	api, err := client.NewClientWithOpts(client.WithHTTPClient(&http.Client{Transport: engine}), client.WithVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(api, Config{Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	synctest.Wait() // until it has subscribed
	host, guest := net.Pipe()
	go func() { // ends with the pipe
		guest.Write(agent.AppendFrame(nil, agent.Ready, []byte{agent.Version}))
		guest.Read(make([]byte, 1))
		guest.Close()
	}()
	s := &Sandbox{driver: d, id: "c1", oom: make(chan struct{})}
	if s.conn, err = agent.Handshake(t.Context(), s.lang, "token", host); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.live["c1"] = s
	d.mu.Unlock()
	start := time.Now()
	res, err := s.Run(t.Context(), program(sandbox.Language{Entry: "main.py"}, ""), new(sandbox.Capture))
	return res, time.Since(start), err
}

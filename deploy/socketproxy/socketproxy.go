// Package socketproxy stands between a server and the Engine's socket and lets
// through what the driver does, and nothing else.
//
// Whoever has the socket has the host: it can start a privileged container. A
// server that has only a [Proxy] cannot, though it be taken over whole: it can
// launch sandboxes of images with preheat's label, talk to them, and remove
// them. It can still launch as many as there is room for, and read what runs in
// any sandbox of preheat on that Engine.
//
// A call that is not allowed gets 403 and is logged. Of a request to create, the
// proxy forwards its own request with what may vary of the client's, so that no
// reading of the client's bytes by the Engine matters.
package socketproxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/preheat/preheat/sandbox/docker"
)

// labelLanguage is what every image of preheat has.
const labelLanguage = "preheat.language"

// maxBody bounds a request's body. A sandbox's has 30 KB.
const maxBody = 1 << 20

// Config says what a proxy is between.
type Config struct {
	Engine   string       // path of the Engine's socket
	Runtimes []string     // OCI runtimes that sandboxes may name
	Logger   *slog.Logger // nil: logs nothing
}

// Proxy is an http.Handler.
type Proxy struct {
	cfg      Config
	patterns []*regexp.Regexp // of calls
	engine   *http.Transport
	forward  *httputil.ReverseProxy
	handlers sync.WaitGroup
}

// New returns a proxy to an Engine that it does not ask yet.
func New(cfg Config) *Proxy {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	p := &Proxy{cfg: cfg, engine: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", cfg.Engine)
	}}}
	for _, c := range calls {
		p.patterns = append(p.patterns, c.pattern())
	}
	p.forward = &httputil.ReverseProxy{
		Transport:     p.engine,
		FlushInterval: -1, // events
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine"
		},
		// The client is to see that the Engine does not answer, as without a proxy.
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				cfg.Logger.Debug("the engine does not answer", "error", err)
			}
			panic(http.ErrAbortHandler)
		},
	}
	return p
}

// Serve answers on ln until ctx ends; then it closes ln and every connection.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return life },
		ErrorLog:          slog.NewLogLogger(p.cfg.Logger.Handler(), slog.LevelDebug),
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = server.Close()
	})
	err := server.Serve(ln)
	if !stop() {
		<-closed
		err = nil
	}
	_ = server.Close()
	end() // and with it what was hijacked
	p.handlers.Wait()
	p.engine.CloseIdleConnections()
	return err
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handlers.Add(1)
	defer p.handlers.Done()
	if err := p.allow(r); err != nil {
		p.cfg.Logger.Warn("refused", "method", r.Method, "path", r.URL.Path, "error", err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "preheat socket-proxy: " + err.Error()})
		return
	}
	p.forward.ServeHTTP(w, r)
}

// allow reports why the call may not be made. It replaces r's body by one that
// may.
func (p *Proxy) allow(r *http.Request) (err error) {
	call, name, ok := p.find(r)
	if !ok {
		return errors.New("no such call is allowed")
	}
	p.cfg.Logger.Debug("asked", "call", call.method+" "+call.path)
	// Another protocol, such as h2c, would be a way past all of this.
	if to := r.Header.Values("Upgrade"); len(to) > 0 && !slices.Equal(to, []string{"tcp"}) {
		return fmt.Errorf("an upgrade to %q is not allowed", to)
	}
	query := r.URL.Query()
	for key, values := range query {
		if !slices.Contains(call.query, key) || len(values) != 1 {
			return fmt.Errorf("the parameter %q is not allowed", key)
		}
	}
	r.URL.RawQuery = query.Encode()
	switch call.check {
	case creates:
		return p.sandbox(r, query.Get("name"))
	case filtered:
		err = labelled(query.Get("filters"))
	case image:
		err = p.owned(r.Context(), "/images/"+name+"/json", labelLanguage)
	case ours, resizes:
		err = p.owned(r.Context(), "/containers/"+name+"/json", docker.LabelInstance)
	}
	switch {
	case err != nil:
		return err
	case call.check == resizes:
		return resizing(r)
	case r.ContentLength != 0:
		return errors.New("a body is not allowed")
	}
	return nil
}

// find returns the row for r, and what its path names.
func (p *Proxy) find(r *http.Request) (c call, name string, ok bool) {
	if r.URL.RawPath != "" {
		return call{}, "", false
	}
	for i, c := range calls {
		if m := p.patterns[i].FindStringSubmatch(r.URL.Path); m != nil && c.method == r.Method {
			return c, m[len(m)-1], true
		}
	}
	return call{}, "", false
}

var (
	sandboxName = regexp.MustCompile(`^preheat-[a-z0-9-]+$`)
	imageName   = regexp.MustCompile(`^` + reference + `$`)
)

// sandbox allows a request for a sandbox of an image of preheat's, and puts the
// driver's words for it in its place.
func (p *Proxy) sandbox(r *http.Request, name string) error {
	if !sandboxName.MatchString(name) {
		return fmt.Errorf("the name %q is not a sandbox's", name)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	lang, request, err := docker.ParseCreate(body)
	if err != nil {
		return err
	}
	if lang.Runtime != "" && !slices.Contains(p.cfg.Runtimes, lang.Runtime) {
		return fmt.Errorf("the runtime %q is not allowed", lang.Runtime)
	}
	if !imageName.MatchString(lang.Image) {
		return fmt.Errorf("the image %q is not preheat's", lang.Image)
	}
	replace(r, request)
	return p.owned(r.Context(), "/images/"+lang.Image+"/json", labelLanguage)
}

// resizing allows a request that changes the memory limit.
func resizing(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	request, err := docker.ParseUpdate(body)
	replace(r, request)
	return err
}

func replace(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}

// labelled allows filters that select preheat's containers.
func labelled(filters string) error {
	var f map[string]map[string]bool
	if err := json.Unmarshal([]byte(filters), &f); err != nil {
		return errors.New("the filters cannot be read")
	}
	for label := range f["label"] {
		if name, _, _ := strings.Cut(label, "="); name == docker.LabelInstance {
			return nil
		}
	}
	return fmt.Errorf("the filters must name the label %s", docker.LabelInstance)
}

// owned allows the container or image at path if it has the label, and one that
// is not there: the Engine says of that what there is to say.
func (p *Proxy) owned(ctx context.Context, path, label string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/v1.41"+path, nil)
	if err != nil {
		return err
	}
	resp, err := p.engine.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler) // as in New
	}
	defer resp.Body.Close()
	var found struct {
		Config struct{ Labels map[string]string }
	}
	switch err := json.NewDecoder(resp.Body).Decode(&found); {
	case resp.StatusCode == http.StatusNotFound:
		return nil
	case resp.StatusCode != http.StatusOK || err != nil:
		return fmt.Errorf("the engine says %s of %s", resp.Status, path)
	case found.Config.Labels[label] == "":
		return fmt.Errorf("%s is not preheat's", path)
	}
	return nil
}

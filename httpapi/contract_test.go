package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract checks what goes over the wire against /openapi.json. Every request
// of the tests goes through it; see testServer.do.
type contract struct {
	document map[string]any
	paths    map[string]*regexp.Regexp // by template, such as /runs/{id}
	compiler *jsonschema.Compiler

	mu sync.Mutex // guards the compiler, which compiles on demand
}

// contracts are those there have been, by description: most servers of the tests
// have the same.
var contracts sync.Map

func newContract(t *testing.T, s *Server) *contract {
	t.Helper()
	description, err := describe("test", s.bounds, s.routes())
	if err != nil {
		t.Fatal(err)
	}
	if known, ok := contracts.Load(string(description)); ok {
		return known.(*contract)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(description)))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{document: document.(map[string]any), paths: map[string]*regexp.Regexp{}, compiler: jsonschema.NewCompiler()}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	for path := range c.document["paths"].(map[string]any) {
		c.paths[path] = regexp.MustCompile("^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$")
	}
	contracts.Store(string(description), c)
	return c
}

// template returns the path of the document that a request's path is of.
func (c *contract) template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	for template, matches := range c.paths {
		if matches.MatchString(path) {
			return template
		}
	}
	return ""
}

// at returns what the document has below the keys, or nil.
func (c *contract) at(keys ...string) any {
	var v any = c.document
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// check returns what of a request that was accepted, or of its answer, is not as
// the document says.
func (c *contract) check(method, path, requestBody string, requestHeader http.Header, r reply) error {
	operation := []string{"paths", c.template(path), strings.ToLower(method)}
	if c.at(operation...) == nil {
		return nil // not of the API
	}
	answer := slices.Concat(operation, []string{"responses", strconv.Itoa(r.status)})
	if c.at(answer...) == nil {
		return fmt.Errorf("the status %d is not documented", r.status)
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if r.body != "" && c.at(append(answer, "content", kind)...) == nil {
		return fmt.Errorf("the media type %q of a %d is not documented", kind, r.status)
	}
	var err error
	if kind == "application/json" {
		err = c.conforms(r.body, append(answer, "content", kind, "schema")...)
	}
	if r.status < 300 && requestHeader.Get("Content-Type") == "application/json" {
		err = errors.Join(err, c.conforms(requestBody, append(operation, "requestBody", "content", "application/json", "schema")...))
	}
	return err
}

// conforms validates a JSON text against the schema below the keys.
func (c *contract) conforms(text string, keys ...string) error {
	pointer := "openapi.json#"
	for _, key := range keys {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
	}
	c.mu.Lock()
	schema, err := c.compiler.Compile(pointer)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func TestTheDescriptionIsOpenAPI31(t *testing.T) {
	ts := listen(t, mustServer(t))
	r := ts.do("GET", "/openapi.json", "")
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	// The schema is the OpenAPI Initiative's, spec.openapis.org/oas/3.1/schema.
	file, err := os.Open("testdata/openapi-3.1.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	schema, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	if err := compiler.MustCompile("schema.json").Validate(document); err != nil {
		t.Error(err)
	}
}

func mustServer(t *testing.T) *Server {
	t.Helper()
	s, err := newServer(Config{}, &stub{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheContractIsChecked(t *testing.T) {
	c := newContract(t, mustServer(t))
	json := http.Header{"Content-Type": {"application/json"}}
	for name, tt := range map[string]struct {
		method, path, request string
		reply                 reply
		wrong                 bool
	}{
		"an error":                      {"POST", "/run", `{`, reply{400, json, `{"error":"x","code":"bad_json"}`}, false},
		"an accepted request":           {"POST", "/runs", `{"code":"1"}`, reply{202, json, `{"id":"x","state":"queued","created":"2026-01-01T00:00:00Z"}`}, false},
		"a parameter in the path":       {"GET", "/runs/abc", "", reply{404, json, `{"error":"x","code":"not_found"}`}, false},
		"a path that is not there":      {"POST", "/nothing", `{`, reply{418, json, `{}`}, false},
		"another status":                {"POST", "/run", `{`, reply{418, json, `{"error":"x","code":"bad_json"}`}, true},
		"another code":                  {"POST", "/run", `{`, reply{400, json, `{"error":"x","code":"teapot"}`}, true},
		"a field that is missing":       {"POST", "/run", `{`, reply{400, json, `{"code":"bad_json"}`}, true},
		"another type":                  {"DELETE", "/runs", "", reply{200, json, `{"deleted":"1"}`}, true},
		"another media type":            {"POST", "/run", `{`, reply{400, http.Header{"Content-Type": {"text/html"}}, "x"}, true},
		"an unknown field, accepted":    {"POST", "/runs", `{"x":1}`, reply{202, json, `{"id":"x","state":"queued","created":"2026-01-01T00:00:00Z"}`}, true},
		"a time that is none, answered": {"POST", "/runs", `{"code":"1"}`, reply{202, json, `{"id":"x","state":"queued","created":"now"}`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.check(tt.method, tt.path, tt.request, json, tt.reply); (err != nil) != tt.wrong {
				t.Errorf("got %v", err)
			}
		})
	}
}

package httpapi

import (
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/preheat/preheat/sandbox"
)

// operation describes a route. The zero operation is not described.
type operation struct {
	summary string // what it does, as a title
	detail  string // more, in sentences; may be empty

	params   any         // struct of path and query parameters; nil is none
	body     any         // JSON; nil is none
	form     bool        // the body may be a form with files too
	answers  map[int]any // by status: JSON; a string is the media type of what is no JSON; nil is an empty body
	refusals []Code      // beside those of every route
}

// everywhere are the codes that any route may answer.
var everywhere = []Code{CodeBadRequest, CodeForbiddenHost, CodeForbiddenOrigin, CodeRequestTimeout, CodeHeadersTooLarge, CodeInternal}

// ofKeys are the codes of a route that needs a key.
var ofKeys = []Code{CodeUnauthorized}

// ofBodies are the codes of a route that takes a body.
var ofBodies = []Code{CodeBadJSON, CodeInvalidField, CodeBodyTooLarge, CodeUnsupportedMedia}

// ofRuns are the codes of a route that runs programs.
var ofRuns = []Code{
	CodeCodeTooLong, CodeUnknownLanguage, CodeCannotResize, CodeForbiddenKey,
	CodeQueueFull, CodeRateLimited, CodeTooManyRuns, CodeQuotaUsed,
	CodeNoSandbox, CodeEngineDown, CodeDraining,
}

// describe makes the OpenAPI document of rows, with the operator's bounds in it.
func describe(version string, b bounds, rows []route) ([]byte, error) {
	r := openapi31.NewReflector()
	r.Spec.Info.WithTitle("preheat").WithVersion(version).
		WithDescription("Runs untrusted code in warm, locked-down containers. " +
			"A program that ran is answered with 200, however it ended; a request that did not run, with a sentence and a stable code.")
	r.Spec.SetHTTPBearerTokenSecurity("key", "", "A key made by `preheat keys add`; needed once there is one.")
	r.DefaultOptions = append(r.DefaultOptions,
		jsonschema.InterceptDefName(func(t reflect.Type, _ string) string { return definitionName(t) }),
		jsonschema.InterceptProp(b.bound))
	for _, row := range rows {
		if row.doc.summary == "" {
			continue
		}
		if err := addOperation(r, row); err != nil {
			return nil, fmt.Errorf("httpapi: describing %s %s: %w", row.method, row.path, err)
		}
	}
	return r.Spec.MarshalJSON()
}

var pathParam = regexp.MustCompile(`:(\w+)`)

func addOperation(r *openapi31.Reflector, row route) error {
	o, err := r.NewOperationContext(row.method, pathParam.ReplaceAllString(row.path, "{$1}"))
	if err != nil {
		return err
	}
	doc := row.doc
	o.SetSummary(doc.summary)
	o.SetDescription(doc.detail)
	codes := slices.Concat(everywhere, doc.refusals)
	if !row.open {
		o.AddSecurity("key")
		codes = append(codes, ofKeys...)
	}
	if doc.params != nil {
		o.AddReqStructure(doc.params)
	}
	if doc.body != nil {
		o.AddReqStructure(doc.body)
		codes = append(codes, ofBodies...)
	}
	if doc.form {
		o.AddReqStructure(formBody{}, openapi.WithContentType("multipart/form-data"))
		codes = append(codes, CodeBadForm, CodeBadArchive)
	}
	for _, status := range slices.Sorted(maps.Keys(doc.answers)) {
		addAnswer(o, status, doc.answers[status])
	}
	for status, list := range byStatus(codes) {
		words := make([]string, len(list))
		for i, code := range list {
			words[i] = string(code)
		}
		o.AddRespStructure(errorAnswer{}, openapi.WithHTTPStatus(status), func(u *openapi.ContentUnit) { u.Description = strings.Join(words, ", ") })
	}
	return r.AddOperation(o)
}

func addAnswer(o openapi.OperationContext, status int, answer any) {
	described := func(u *openapi.ContentUnit) { u.Description = http.StatusText(status) }
	if kind, ok := answer.(string); ok {
		o.AddRespStructure("", openapi.WithHTTPStatus(status), openapi.WithContentType(kind), described)
		return
	}
	o.AddRespStructure(answer, openapi.WithHTTPStatus(status), described)
}

func byStatus(codes []Code) map[int][]Code {
	all := map[int][]Code{}
	for _, code := range codes {
		all[statusOf[code]] = append(all[statusOf[code]], code)
	}
	return all
}

// formBody describes a form with files.
type formBody struct {
	Request string           `formData:"request" description:"The JSON object that would be the body."`
	File    []multipart.File `formData:"file" description:"Files of the program, each under its file name."`
	Zip     []multipart.File `formData:"zip" description:"ZIP archives of files of the program."`
}

// definitionName is a type's name without what says that it is not exported.
func definitionName(t reflect.Type) string {
	name := t.Name()
	return strings.ToUpper(name[:1]) + name[1:]
}

// requestTypes are decoded strictly; the others are answers.
var requestTypes = []reflect.Type{
	reflect.TypeFor[request](), reflect.TypeFor[requestFile](), reflect.TypeFor[testsRequest](), reflect.TypeFor[testCase](),
}

// bound completes what the tags of a field say of it: the operator's bounds of a
// request's, and that an answer's is there.
func (b bounds) bound(p jsonschema.InterceptPropParams) error {
	if !p.Processed {
		return nil
	}
	s := p.PropertySchema
	if p.Field.Type == reflect.TypeFor[sandbox.Status]() {
		for _, status := range sandbox.Statuses {
			s.Enum = append(s.Enum, status)
		}
	}
	if !slices.Contains(requestTypes, p.ParentSchema.ReflectType) {
		if tag := p.Field.Tag.Get("json"); tag != "" && !strings.HasSuffix(tag, ",omitempty") {
			p.ParentSchema.Required = append(p.ParentSchema.Required, p.Name)
		}
		return nil
	}
	p.ParentSchema.WithAdditionalProperties(jsonschema.SchemaOrBool{TypeBoolean: new(false)})
	between := func(least, most int64) { s.WithMinimum(float64(least)).WithMaximum(float64(most)) }
	switch p.Name {
	case "code":
		s.WithMaxLength(int64(b.codeChars))
	case "language":
		for _, name := range slices.Sorted(maps.Keys(b.languages)) {
			s.Enum = append(s.Enum, name)
		}
	case "files":
		s.WithMaxItems(sandbox.MaxFiles)
	case "args":
		s.WithMaxItems(sandbox.MaxArgs)
	case "env":
		s.WithMaxProperties(sandbox.MaxEnv)
	case "collect":
		s.WithMaxItems(sandbox.MaxPatterns)
	case "tests":
		s.WithMaxItems(int64(b.tests))
	case "timeout_ms":
		between(1, b.maxTimeout.Milliseconds())
		s.WithDefault(b.timeout.Milliseconds())
	case "memory_mb":
		between(minMemory>>20, b.mostMemory()>>20)
	case "output_bytes":
		between(1, int64(b.maxOutputBytes))
		s.WithDefault(b.outputBytes)
	}
	return nil
}

// mostMemory is the most memory, in bytes, that a program of any language may have.
func (b bounds) mostMemory() int64 {
	most := int64(0)
	for _, lang := range b.languages {
		most = max(most, b.memoryCeiling(lang))
	}
	return most
}

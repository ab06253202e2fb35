package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preheat/preheat/sandbox"
)

const defaultLanguage = "python"

// request is the body of POST /run.
type request struct {
	Code      string            `json:"code"`
	Language  string            `json:"language"`
	Stdin     string            `json:"stdin"`
	Args      []string          `json:"args"`
	Env       map[string]string `json:"env"`
	Files     []requestFile     `json:"files"`
	TimeoutMS *int64            `json:"timeout_ms"`
}

type requestFile struct {
	Name     string `json:"name"`
	Content  string `json:"content"`
	Encoding string `json:"encoding"` // utf8, the default, or base64
}

// decode reads a body strictly: one JSON object, no unknown field, nothing
// behind it. Its errors are *Error.
func decode(body []byte) (request, error) {
	var r request
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return r, refuse(CodeBadJSON, "The request body is empty")
	case !utf8.Valid(body):
		// encoding/json would quietly put U+FFFD into the program.
		return r, refuse(CodeBadJSON, "The request body is not valid UTF-8")
	case trimmed[0] != '{':
		return r, refuse(CodeBadJSON, "The request body must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return r, refuse(CodeBadJSON, "The request body goes on after the JSON object")
	}
	return r, nil
}

func decodeError(err error) *Error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		got, _, _ := strings.Cut(e.Value, " ") // "number 1.5"
		return refuse(CodeInvalidField, "The field %s holds a JSON %s where %s belongs", e.Field, got, kindWords(e.Type))
	}
	// encoding/json has no type for this error.
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if unquoted, err := strconv.Unquote(name); err == nil {
			name = unquoted
		}
		return refuse(CodeInvalidField, "There is no field %s", quote(name))
	}
	return refuse(CodeBadJSON, "The request body is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func kindWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// quote makes a client's word fit for a sentence.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}

// bounds are what an operator allows of a request.
type bounds struct {
	codeChars        int
	timeout          time.Duration // when the request names none
	maxTimeout       time.Duration
	outputBytes      int
	floodBytes       int64
	languages        map[string]sandbox.Language // by name and by alias
	languagesInWords string
}

// program checks r and makes of it what a sandbox of the language takes. Its
// errors are *Error.
func (b bounds) program(r request) (sandbox.Language, sandbox.Program, error) {
	lang, p, err := b.build(r)
	if err != nil {
		return lang, p, err
	}
	if err := p.Validate(); err != nil {
		return lang, p, refuse(CodeInvalidField, "The program is not valid: %v", err)
	}
	return lang, p, nil
}

func (b bounds) build(r request) (lang sandbox.Language, p sandbox.Program, err error) {
	if chars := utf8.RuneCountInString(r.Code); chars > b.codeChars {
		return lang, p, refuse(CodeCodeTooLong, "The code has %d characters; the limit is %d", chars, b.codeChars)
	}
	name := r.Language
	if name == "" {
		name = defaultLanguage
	}
	lang, ok := b.languages[name]
	if !ok {
		return lang, p, refuse(CodeUnknownLanguage, "There is no language %s; there is %s", quote(name), b.languagesInWords)
	}
	timeout := b.timeout
	if r.TimeoutMS != nil {
		if *r.TimeoutMS < 1 || *r.TimeoutMS > b.maxTimeout.Milliseconds() {
			return lang, p, refuse(CodeInvalidField, "The field timeout_ms must be from 1 to %d", b.maxTimeout.Milliseconds())
		}
		timeout = time.Duration(*r.TimeoutMS) * time.Millisecond
	}
	files, err := programFiles(r, lang.Entry)
	if err != nil {
		return lang, p, err
	}
	p = sandbox.Program{
		Files:       files,
		Args:        r.Args,
		Stdin:       []byte(r.Stdin),
		Timeout:     timeout,
		OutputBytes: b.outputBytes,
		FloodBytes:  b.floodBytes,
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		if strings.Contains(name, "=") {
			return lang, p, refuse(CodeInvalidField, "The field env has a name with = in it: %s", quote(name))
		}
		p.Env = append(p.Env, name+"="+r.Env[name])
	}
	return lang, p, nil
}

// programFiles gives the files of r with the entry file, which is either the
// code or one of the files.
func programFiles(r request, entry string) ([]sandbox.File, error) {
	files := make([]sandbox.File, 0, len(r.Files)+1)
	given := false
	for i, f := range r.Files {
		content, err := f.bytes()
		if err != nil {
			return nil, refuse(CodeInvalidField, "The field files[%d] %v", i, err)
		}
		given = given || f.Name == entry
		files = append(files, sandbox.File{Name: f.Name, Content: content})
	}
	switch {
	case given && r.Code != "":
		return nil, refuse(CodeInvalidField, "The program is given twice: in the field code and as the file %s", entry)
	case !given && r.Code == "":
		return nil, refuse(CodeInvalidField, "The field code is empty and no file is named %s", entry)
	case !given:
		files = slices.Insert(files, 0, sandbox.File{Name: entry, Content: []byte(r.Code)})
	}
	return files, nil
}

func (f requestFile) bytes() ([]byte, error) {
	switch f.Encoding {
	case "", "utf8":
		return []byte(f.Content), nil
	case "base64":
		content, err := base64.StdEncoding.DecodeString(f.Content)
		if err != nil {
			return nil, errors.New("is not valid base64")
		}
		return content, nil
	}
	return nil, fmt.Errorf("has the encoding %s; there is utf8 and base64", quote(f.Encoding))
}

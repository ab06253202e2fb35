package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const defaultLanguage = "python"

// request is a program and what it is given: the body of POST /run and of its
// kin.
type request struct {
	Code        string            `json:"code,omitempty" description:"The program. It becomes the entry file; empty where that is among the files." example:"print(2 + 2)"`
	Language    string            `json:"language,omitempty" description:"A language's name or alias; GET /languages lists them." default:"python"`
	Entry       string            `json:"entry,omitempty" description:"The file to run. Without it, the language's own, such as main.py, or the only file there is. Another name than the language's own may cost the start of a new interpreter." example:"main.py"`
	Files       []requestFile     `json:"files,omitempty" description:"Files to lay into the work folder."`
	Stdin       string            `json:"stdin,omitempty" description:"What the program reads."`
	Args        []string          `json:"args,omitempty" description:"What follows the entry file on the command line."`
	Env         map[string]string `json:"env,omitempty" description:"Variables added to the program's environment."`
	TimeoutMS   *int64            `json:"timeout_ms,omitempty" description:"Wall time of the run in milliseconds."`
	MemoryMB    *int64            `json:"memory_mb,omitempty" description:"Memory of the sandbox in MiB. Another size than the language's is set before the run, and may cost the start of a new interpreter."`
	OutputBytes *int64            `json:"output_bytes,omitempty" description:"Kept of each of stdout and stderr, in bytes."`
	Collect     []string          `json:"collect,omitempty" description:"Patterns of files to return from the work folder: * and ? stop at a slash, ** does not." example:"[\"out/*.csv\"]"`
}

type requestFile struct {
	Name     string `json:"name" required:"true" description:"A path below the work folder." example:"data/in.csv"`
	Content  string `json:"content" description:"What is in it."`
	Encoding string `json:"encoding,omitempty" description:"How content is written here." enum:"utf8,base64" default:"utf8"`

	raw []byte // the content, when the file did not come in JSON
}

// decode reads a body strictly into v: one JSON object, no unknown field,
// nothing behind it. Its errors are *Error.
func decode(body []byte, v any) error {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return refuse(CodeBadJSON, "The request body is empty")
	case !utf8.Valid(body):
		// encoding/json would quietly put U+FFFD into the program.
		return refuse(CodeBadJSON, "The request body is not valid UTF-8")
	case trimmed[0] != '{':
		return refuse(CodeBadJSON, "The request body must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return decodeError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(CodeBadJSON, "The request body goes on after the JSON object")
	}
	return nil
}

func decodeError(err error) *Error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		got, _, _ := strings.Cut(e.Value, " ")           // "number 1.5"
		field := strings.TrimPrefix(e.Field, "request.") // of the struct that is embedded
		return refuse(CodeInvalidField, "The field %s holds a JSON %s where %s belongs", field, got, kindWords(e.Type))
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
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "a boolean"
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

func (f requestFile) bytes() ([]byte, error) {
	switch f.Encoding {
	case "", "utf8":
		if f.raw != nil {
			return f.raw, nil
		}
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

// size is about how many bytes r takes.
func (r request) size() int {
	n := len(r.Code) + len(r.Stdin)
	for _, f := range r.Files {
		n += len(f.Name) + len(f.Content)
	}
	return n
}

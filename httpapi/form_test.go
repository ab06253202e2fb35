package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

// formPart is a part of a form, written as it stands.
type formPart struct{ disposition, content, encoding string }

func filePart(name, content string) formPart {
	return formPart{`form-data; name="file"; filename="` + name + `"`, content, ""}
}

func zipPart(archive []byte) formPart {
	return formPart{`form-data; name="zip"; filename="a.zip"`, string(archive), ""}
}

func requestPart(body string) formPart { return formPart{`form-data; name="request"`, body, ""} }

const boundary = "x-boundary"

// formOf gives the body of a form whose boundary is that.
func formOf(t testing.TB, parts ...formPart) string {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary(boundary); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		header := textproto.MIMEHeader{}
		for name, value := range map[string]string{"Content-Disposition": p.disposition, "Content-Transfer-Encoding": p.encoding} {
			if value != "" {
				header.Set(name, value)
			}
		}
		part, err := w.CreatePart(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(p.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

const formType = "multipart/form-data; boundary=" + boundary

type badForm struct {
	name, kind, body string
	code             Code
	sentence         string
}

// badForms are what POST /run refuses, also over HTTP.
func badForms(t testing.TB) []badForm {
	whole := formOf(t, filePart("main.py", "print(1)"))
	before, _, _ := strings.Cut(whole, "(1)")
	form := func(name string, code Code, sentence string, parts ...formPart) badForm {
		return badForm{name, formType, formOf(t, parts...), code, sentence}
	}
	var crowd []formPart
	for i := range sandbox.MaxFiles + 1 {
		crowd = append(crowd, filePart(fmt.Sprint(i), ""))
	}
	bad := []badForm{
		{"no boundary", "multipart/form-data", whole, CodeBadForm, "The request body is not a form: multipart: boundary is empty"},
		{"another boundary", formType + "y", whole, CodeBadForm, "The request body is not a form: multipart: NextPart: EOF"},
		{"an empty body", formType, "", CodeBadForm, "The request body is not a form: multipart: NextPart: EOF"},
		{"JSON", formType, `{"code":"1"}`, CodeBadForm, "The request body is not a form: multipart: NextPart: EOF"},
		{"cut short in a header", formType, whole[:30], CodeBadForm, `The request body is not a form: malformed MIME header: missing colon: "Content-Disposit"`},
		{"a long line in a header", formType, "--" + boundary + "\r\n" + strings.Repeat("x", 1000) + "\r\n", CodeBadForm, `The request body is not a form: malformed MIME header: missing colon: "` + strings.Repeat("x", 161)},
		{"cut short in a file", formType, before, CodeBadForm, "The request body is not a form: unexpected EOF"},
		{"cut short before its end", formType, strings.TrimSuffix(whole, "--\r\n"), CodeBadForm, "The request body is not a form: multipart: NextPart: EOF"},
		{"a header without a colon", formType, strings.Replace(whole, ":", "", 1), CodeBadForm, `The request body is not a form: malformed MIME header: missing colon: "Content-Disposition form-data; name=\"file\"; filename=\"main.py\""`},
		form("a part without a name", CodeBadForm, "The request body is not a form: mime: no media type", formPart{content: "x"}),
		form("a disposition that is broken", CodeBadForm, "The request body is not a form: mime: invalid media parameter", formPart{disposition: `form-data; name="file`}),
		form("an attachment", CodeBadForm, `The form has a part named ""; there is request, file and zip`, formPart{disposition: `attachment; name="file"; filename="x"`}),
		form("an unknown part", CodeBadForm, `The form has a part named "code"; there is request, file and zip`, formPart{`form-data; name="code"`, "print(1)", ""}),
		form("two parts named request", CodeBadForm, "The form has two parts named request", requestPart(`{"code":"1"}`), requestPart(`{}`)),
		form("two archives", CodeBadForm, "The form has two parts named zip", zipPart(zipOf(t, zipped{name: "a"})), zipPart(zipOf(t, zipped{name: "b"}))),
		form("an empty request", CodeBadJSON, "The request body is empty", requestPart("")),
		form("broken JSON in it", CodeBadJSON, "The request body is not JSON: unexpected EOF", requestPart(`{"code":`)),
		form("a wrong field in it", CodeInvalidField, "The field code holds a JSON number where a string belongs", requestPart(`{"code":1}`)),
		form("a broken archive", CodeBadArchive, "The ZIP archive cannot be read: zip: not a valid zip file", zipPart([]byte("x"))),
		form("nothing to run", CodeInvalidField, `The field code is empty and no file is named "main.py"`, requestPart(`{}`)),
		form("no part", CodeInvalidField, `The field code is empty and no file is named "main.py"`),
		form("too many files", CodeInvalidField, "The form has more than 256 files", crowd...),
		form("too many files with those of the request", CodeInvalidField, "The program is not valid: a program may have at most 256 files", append(crowd[1:], requestPart(`{"code":"1"}`))...),
		form("a name in two files", CodeInvalidField, `The program is not valid: the file name "main.py" is given twice`, filePart("main.py", ""), filePart("main.py", "")),
		form("a name in a file and the archive", CodeInvalidField, `The program is not valid: the file name "main.py" is given twice`, filePart("main.py", ""), zipPart(zipOf(t, zipped{name: "main.py"}))),
		form("a name in a file and the request", CodeInvalidField, `The program is not valid: the file name "x" is given twice`, filePart("x", ""), requestPart(`{"code":"1","files":[{"name":"x","content":""}]}`)),
		form("code and a file with its name", CodeInvalidField, `The program is given twice: in the field code and as the file "main.py"`, filePart("main.py", ""), requestPart(`{"code":"1"}`)),
		form("a control character in a name", CodeInvalidField, `The program is not valid: the file name "a\x01" has a control character or a backslash`,
			formPart{`form-data; name="file"; filename*=UTF-8''a%01`, "x", ""}),
		form("a file without a name", CodeInvalidField, "The program is not valid: a file name is empty", formPart{`form-data; name="file"`, "x", ""}),
	}
	for name, shown := range map[string]string{
		"../x": "is not a plain path below the work folder", "/x": "is not a plain path below the work folder", "a//b": "is not a plain path below the work folder",
		`a\b`: "has a control character or a backslash",
	} {
		bad = append(bad, form("the file name "+name, CodeInvalidField, fmt.Sprintf("The program is not valid: the file name %q %s", name, shown), filePart(name, "x")))
	}
	return bad
}

func TestBadFormsAreRefusedOverHTTP(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	for _, tt := range badForms(t) {
		t.Run(tt.name, func(t *testing.T) {
			r := ts.do("POST", "/run", tt.body, "Content-Type", tt.kind)
			if got := r.refused(t, tt.code); got.Error != tt.sentence {
				t.Errorf("got  %q\nwant %q", got.Error, tt.sentence)
			}
		})
	}
	for _, path := range []string{"/run/stream", "/runs"} {
		ts.do("POST", path, "", "Content-Type", formType).refused(t, CodeBadForm)
	}
	ts.do("POST", "/run/tests", formOf(t, filePart("main.py", "")), "Content-Type", formType).refused(t, CodeUnsupportedMedia)
}

func TestAFormBecomesAProgram(t *testing.T) {
	tests := []struct {
		name  string
		parts []formPart
		entry string
		files map[string]string
		env   []string
	}{
		{"all parts", []formPart{
			requestPart(`{"code":"1","env":{"A":"b"},"files":[{"name":"j","content":"AA==","encoding":"base64"}]}`),
			filePart("data/in.csv", "a,b\r\n"), zipPart(zipOf(t, zipped{name: "lib/x.py", content: "y"})),
		}, "", map[string]string{"main.py": "1", "j": "\x00", "data/in.csv": "a,b\r\n", "lib/x.py": "y"}, []string{"A=b"}},
		{"the request comes last", []formPart{filePart("x", "1"), requestPart(`{"code":"2"}`)}, "", map[string]string{"main.py": "2", "x": "1"}, nil},
		{"a single file is the one that is run", []formPart{filePart("src/app.py", "1")}, "src/app.py", map[string]string{"src/app.py": "1"}, nil},
		{"so is that of an archive", []formPart{zipPart(zipOf(t, zipped{name: "app.py", content: "1"}))}, "app.py", map[string]string{"app.py": "1"}, nil},
		{"entry names a file of the archive", []formPart{zipPart(zipOf(t, zipped{name: "a/app.py"}, zipped{name: "b"})), requestPart(`{"entry":"a/app.py"}`)},
			"a/app.py", map[string]string{"a/app.py": "", "b": ""}, nil},
		{"main.py is run without entry", []formPart{filePart("main.py", ""), filePart("b", "")}, "", map[string]string{"main.py": "", "b": ""}, nil},
		{"a file may be binary and look like a boundary", []formPart{filePart("main.py", "\xff\x00\r\n--x-boundar")}, "", map[string]string{"main.py": "\xff\x00\r\n--x-boundar"}, nil},
		{"quoted-printable is decoded", []formPart{{`form-data; name="file"; filename="main.py"`, "a=3D1", "quoted-printable"}}, "", map[string]string{"main.py": "a=1"}, nil},
		{"a name in UTF-8 and with quotes", []formPart{{`form-data; name="file"; filename="\"ü\".py"`, "1", ""}}, `"ü".py`, map[string]string{`"ü".py`: "1"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := readForm([]byte(formOf(t, tt.parts...)), boundary, testArchive)
			if err != nil {
				t.Fatal(err)
			}
			_, p, err := testBounds().program(r)
			if err != nil {
				t.Fatal(err)
			}
			if p.Entry != tt.entry || !reflect.DeepEqual(contents(p.Files), tt.files) || len(p.Files) != len(tt.files) || !reflect.DeepEqual(p.Env, tt.env) {
				t.Errorf("got the entry %q, the files %q and the env %q", p.Entry, contents(p.Files), p.Env)
			}
		})
	}
}

func TestAFormRunsOverHTTP(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{})
	body := formOf(t, requestPart(`{"stdin":"in"}`), filePart("main.py", program("stdin", "cat a/b")), zipPart(zipOf(t, zipped{name: "a/b", content: "zip"})))
	if got := ts.do("POST", "/run", body, "Content-Type", formType).ran(t); got.Stdout != "inzip" {
		t.Errorf("the program printed %q", got.Stdout)
	}
}

func FuzzForm(f *testing.F) {
	for _, bad := range badForms(f) {
		f.Add(bad.kind, []byte(bad.body))
	}
	f.Add(formType, []byte(formOf(f, requestPart(`{"code":"1"}`), filePart("a/b", "x"), zipPart(zipOf(f, zipped{name: "c", content: "y"})))))
	b := testBounds()
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		_, params, err := mime.ParseMediaType(kind)
		if err != nil {
			return
		}
		r, err := readForm(body, params["boundary"], testArchive)
		if err == nil {
			_, _, err = b.program(r)
		}
		if err == nil {
			return
		}
		if e, ok := errors.AsType[*Error](err); !ok || statusOf[e.Code]/100 != 4 || e.Sentence == "" || len(e.Sentence) > 2000 {
			t.Errorf("a bad form gave %v", err)
		}
	})
}

package httpapi

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/preheat/preheat/sandbox"
)

func testBounds() bounds {
	python := sandbox.Language{Name: "python", Aliases: []string{"py"}, Entry: "main.py", Limits: sandbox.DefaultLimits()}
	node := sandbox.Language{Name: "node", Aliases: []string{"javascript", "js"}, Entry: "main.js", Limits: sandbox.DefaultLimits()}
	return newBounds(Config{FloodBytes: 1 << 20}.withDefaults(), []sandbox.Language{python, node})
}

func TestRequestBecomesAProgram(t *testing.T) {
	file := func(name, content string) sandbox.File { return sandbox.File{Name: name, Content: []byte(content)} }
	program := func(change func(*sandbox.Program), files ...sandbox.File) sandbox.Program {
		p := sandbox.Program{Files: files, Stdin: []byte{}, Timeout: 10 * time.Second, OutputBytes: 64 << 10, FloodBytes: 1 << 20,
			Collect: sandbox.Collect{MaxFiles: 32, MaxBytes: 4 << 20}}
		if change != nil {
			change(&p)
		}
		return p
	}
	tests := []struct {
		name, body, language string
		want                 sandbox.Program
	}{
		{"code alone is Python", `{"code":"print(1)"}`, "python", program(nil, file("main.py", "print(1)"))},
		{"white space around is no matter", " \n{\"code\":\"1\"}\r\n", "python", program(nil, file("main.py", "1"))},
		{"an alias names its language", `{"code":"1","language":"js"}`, "node", program(nil, file("main.js", "1"))},
		{"5,000 characters of four bytes fit", `{"code":"` + strings.Repeat("𝄞", 5000) + `"}`, "python",
			program(nil, file("main.py", strings.Repeat("𝄞", 5000)))},
		{"the entry file may be among the files", `{"files":[{"name":"a/b.txt","content":"AAE=","encoding":"base64"},{"name":"main.py","content":"1","encoding":"utf8"}]}`, "python",
			program(nil, file("a/b.txt", "\x00\x01"), file("main.py", "1"))},
		{"all fields", `{"code":"1","stdin":"in","args":["a",""],"env":{"B":"2","A":"1=1"},"files":[{"name":"f","content":"x"}],"timeout_ms":1}`, "python",
			program(func(p *sandbox.Program) {
				p.Stdin, p.Args, p.Env, p.Timeout = []byte("in"), []string{"a", ""}, []string{"A=1=1", "B=2"}, time.Millisecond
			}, file("main.py", "1"), file("f", "x"))},
		{"the code is in the file that entry names", `{"code":"1","entry":"src/app.py"}`, "python",
			program(func(p *sandbox.Program) { p.Entry = "src/app.py" }, file("src/app.py", "1"))},
		{"entry names one of the files", `{"entry":"b","files":[{"name":"a","content":"1"},{"name":"b","content":"2"}]}`, "python",
			program(func(p *sandbox.Program) { p.Entry = "b" }, file("a", "1"), file("b", "2"))},
		{"entry names the language's own", `{"code":"1","entry":"main.py"}`, "python", program(nil, file("main.py", "1"))},
		{"a single file is the one that is run", `{"files":[{"name":"x/y.py","content":"1"}]}`, "python",
			program(func(p *sandbox.Program) { p.Entry = "x/y.py" }, file("x/y.py", "1"))},
		{"a single file beside code is not", `{"code":"1","files":[{"name":"x","content":"2"}]}`, "python",
			program(nil, file("main.py", "1"), file("x", "2"))},
		{"the language's own memory is no change", `{"code":"1","memory_mb":128}`, "python", program(nil, file("main.py", "1"))},
		{"another memory, output and collect", `{"code":"1","memory_mb":16,"output_bytes":1,"collect":["**/*.png","out/[a-z]*"]}`, "python",
			program(func(p *sandbox.Program) {
				p.MemoryBytes, p.OutputBytes, p.Collect.Patterns = 16<<20, 1, []string{"**/*.png", "out/[a-z]*"}
			}, file("main.py", "1"))},
		{"the most output", `{"code":"1","output_bytes":1048576}`, "python", program(func(p *sandbox.Program) { p.OutputBytes = 1 << 20 }, file("main.py", "1"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r request
			if err := decode([]byte(tt.body), &r); err != nil {
				t.Fatal(err)
			}
			lang, got, err := testBounds().program(r)
			if err != nil {
				t.Fatal(err)
			}
			if lang.Name != tt.language || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %s %+v\nwant %s %+v", lang.Name, got, tt.language, tt.want)
			}
		})
	}
}

// badBodies are what POST /run refuses, also over HTTP.
var badBodies = []struct {
	name, body string
	code       Code
	sentence   string
}{
	{"empty", ``, CodeBadJSON, "The request body is empty"},
	{"white space", " \n", CodeBadJSON, "The request body is empty"},
	{"not JSON", `code=print(1)`, CodeBadJSON, "The request body must be a JSON object"},
	{"a list", `[]`, CodeBadJSON, "The request body must be a JSON object"},
	{"null", `null`, CodeBadJSON, "The request body must be a JSON object"},
	{"cut short", `{"code":"1"`, CodeBadJSON, "The request body is not JSON: unexpected EOF"},
	{"broken", `{"code":tru}`, CodeBadJSON, "The request body is not JSON: invalid character '}' in literal true (expecting 'e')"},
	{"not UTF-8", "{\"code\":\"\xff\"}", CodeBadJSON, "The request body is not valid UTF-8"},
	{"data behind it", `{"code":"1"} {}`, CodeBadJSON, "The request body goes on after the JSON object"},
	{"a brace behind it", `{"code":"1"}}`, CodeBadJSON, "The request body goes on after the JSON object"},
	{"an unknown field", `{"code":"1","cod\u0065s":1}`, CodeInvalidField, `There is no field "codes"`},
	{"an unknown field with a long name", `{"` + strings.Repeat("x", 99) + `":1}`, CodeInvalidField, `There is no field "` + strings.Repeat("x", 40) + `…"`},
	{"an unknown field of a file", `{"code":"1","files":[{"path":"x"}]}`, CodeInvalidField, `There is no field "path"`},
	{"a number for code", `{"code":1}`, CodeInvalidField, "The field code holds a JSON number where a string belongs"},
	{"a string for args", `{"code":"1","args":"x"}`, CodeInvalidField, "The field args holds a JSON string where a list belongs"},
	{"a number in args", `{"code":"1","args":[1]}`, CodeInvalidField, "The field args holds a JSON number where a string belongs"},
	{"a number in env", `{"code":"1","env":{"A":1}}`, CodeInvalidField, "The field env holds a JSON number where a string belongs"},
	{"a list for env", `{"code":"1","env":[]}`, CodeInvalidField, "The field env holds a JSON array where an object belongs"},
	{"a string in files", `{"code":"1","files":["x"]}`, CodeInvalidField, "The field files holds a JSON string where an object belongs"},
	{"a fraction for timeout_ms", `{"code":"1","timeout_ms":1.5}`, CodeInvalidField, "The field timeout_ms holds a JSON number where a whole number belongs"},
	{"no time", `{"code":"1","timeout_ms":0}`, CodeInvalidField, "The field timeout_ms must be from 1 to 10000"},
	{"too much time", `{"code":"1","timeout_ms":10001}`, CodeInvalidField, "The field timeout_ms must be from 1 to 10000"},
	{"a string for timeout_ms", `{"code":"1","timeout_ms":"1"}`, CodeInvalidField, "The field timeout_ms holds a JSON string where a whole number belongs"},
	{"too little memory", `{"code":"1","memory_mb":15}`, CodeInvalidField, "The field memory_mb must be from 16 to 128"},
	{"too much memory", `{"code":"1","memory_mb":129}`, CodeInvalidField, "The field memory_mb must be from 16 to 128"},
	{"memory beyond 64 bits", `{"code":"1","memory_mb":9223372036854775808}`, CodeInvalidField, "The field memory_mb holds a JSON number where a whole number belongs"},
	{"negative memory", `{"code":"1","memory_mb":-9223372036854775808}`, CodeInvalidField, "The field memory_mb must be from 16 to 128"},
	{"a string for memory_mb", `{"code":"1","memory_mb":"64"}`, CodeInvalidField, "The field memory_mb holds a JSON string where a whole number belongs"},
	{"no output", `{"code":"1","output_bytes":0}`, CodeInvalidField, "The field output_bytes must be from 1 to 1048576"},
	{"too much output", `{"code":"1","output_bytes":1048577}`, CodeInvalidField, "The field output_bytes must be from 1 to 1048576"},
	{"a boolean for output_bytes", `{"code":"1","output_bytes":true}`, CodeInvalidField, "The field output_bytes holds a JSON bool where a whole number belongs"},
	{"a string for collect", `{"code":"1","collect":"*"}`, CodeInvalidField, "The field collect holds a JSON string where a list belongs"},
	{"a number in collect", `{"code":"1","collect":[1]}`, CodeInvalidField, "The field collect holds a JSON number where a string belongs"},
	{"an empty pattern", `{"code":"1","collect":["*",""]}`, CodeInvalidField, `The program is not valid: collect[1]: "" is not a pattern of 1 to 255 bytes for files below the work folder`},
	{"a pattern that leaves the work folder", `{"code":"1","collect":["../*"]}`, CodeInvalidField, `The program is not valid: collect[0]: "../*" is not a pattern of 1 to 255 bytes for files below the work folder`},
	{"a broken class in a pattern", `{"code":"1","collect":["[a"]}`, CodeInvalidField, `The program is not valid: collect[0]: "[a" is not a pattern: a class such as [a-z] is not complete`},
	{"too many patterns", `{"code":"1","collect":[` + strings.Repeat(`"*",`, 32) + `"*"]}`, CodeInvalidField, "The program is not valid: a program may collect by at most 32 patterns"},
	{"a number for entry", `{"code":"1","entry":1}`, CodeInvalidField, "The field entry holds a JSON number where a string belongs"},
	{"an entry that leaves the work folder", `{"code":"1","entry":"../x"}`, CodeInvalidField, `The program is not valid: the file name "../x" is not a plain path below the work folder`},
	{"an entry that is no file", `{"entry":"b","files":[{"name":"main.py","content":"1"}]}`, CodeInvalidField, `The field code is empty and no file is named "b"`},
	{"code and the file that entry names", `{"code":"1","entry":"b","files":[{"name":"b","content":"2"}]}`, CodeInvalidField, `The program is given twice: in the field code and as the file "b"`},
	{"an entry that is a folder too", `{"code":"1","entry":"a","files":[{"name":"a/b","content":"2"}]}`, CodeInvalidField, `The program is not valid: "a" is both a file and a folder`},
	{"two files and no entry", `{"files":[{"name":"a","content":"1"},{"name":"b","content":"2"}]}`, CodeInvalidField, `The field code is empty and no file is named "main.py"`},
	{"a single file without a name", `{"files":[{"content":"1"}]}`, CodeInvalidField, "The program is not valid: a file name is empty"},
	{"a number for a file's content", `{"code":"1","files":[{"name":"x","content":1}]}`, CodeInvalidField, "The field files.content holds a JSON number where a string belongs"},
	{"a file twice", `{"code":"1","files":[{"name":"x","content":""},{"name":"x","content":""}]}`, CodeInvalidField, `The program is not valid: the file name "x" is given twice`},
	{"no code", `{}`, CodeInvalidField, "The field code is empty and no file is named \"main.py\""},
	{"empty code", `{"code":""}`, CodeInvalidField, "The field code is empty and no file is named \"main.py\""},
	{"empty code of another language", `{"code":"","language":"node"}`, CodeInvalidField, "The field code is empty and no file is named \"main.js\""},
	{"code and entry file", `{"code":"1","files":[{"name":"main.py","content":"2"}]}`, CodeInvalidField, "The program is given twice: in the field code and as the file \"main.py\""},
	{"a bad file name", `{"code":"1","files":[{"name":"../x","content":""}]}`, CodeInvalidField, `The program is not valid: the file name "../x" is not a plain path below the work folder`},
	{"a null file", `{"code":"1","files":[null]}`, CodeInvalidField, "The program is not valid: a file name is empty"},
	{"bad base64", `{"code":"1","files":[{"name":"x","content":"*","encoding":"base64"}]}`, CodeInvalidField, "The field files[0] is not valid base64"},
	{"a bad encoding", `{"code":"1","files":[{"name":"x","encoding":"hex"}]}`, CodeInvalidField, `The field files[0] has the encoding "hex"; there is utf8 and base64`},
	{"a bad variable", `{"code":"1","env":{"A=B":"1"}}`, CodeInvalidField, `The field env has a name with = in it: "A=B"`},
	{"a bad argument", `{"code":"1","args":["\u0000"]}`, CodeInvalidField, "The program is not valid: args[0] has a NUL byte"},
	{"an unknown language", `{"code":"1","language":"ruby"}`, CodeUnknownLanguage, `There is no language "ruby"; there is python, node`},
	{"5,001 characters", `{"code":"` + strings.Repeat("é", 5001) + `"}`, CodeCodeTooLong, "The code has 5001 characters; the limit is 5000"},
}

func TestBadRequestIsRefusedWithCodeAndSentence(t *testing.T) {
	for _, tt := range badBodies {
		t.Run(tt.name, func(t *testing.T) {
			var r request
			err := decode([]byte(tt.body), &r)
			if err == nil {
				_, _, err = testBounds().program(r)
			}
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got the error %v, want an *Error", err)
			}
			if e.Code != tt.code || e.Sentence != tt.sentence {
				t.Errorf("got  %s %q\nwant %s %q", e.Code, e.Sentence, tt.code, tt.sentence)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range badBodies {
		f.Add([]byte(b.body))
	}
	f.Add([]byte(`{"code":"1","language":"js","stdin":"x","args":["a"],"env":{"A":"b"},"files":[{"name":"f","content":"eA==","encoding":"base64"}],"timeout_ms":5}`))
	b := testBounds()
	f.Fuzz(func(t *testing.T, body []byte) {
		var r request
		err := decode(body, &r)
		var p sandbox.Program
		if err == nil {
			_, p, err = b.program(r)
		}
		if err == nil {
			if invalid := p.Validate(); invalid != nil {
				t.Fatalf("accepted a program that is not valid: %v", invalid)
			}
			return
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || statusOf[e.Code] < 400 || statusOf[e.Code] > 499 {
			t.Fatalf("a bad request gave %v", err)
		}
		if e.Sentence == "" || len(e.Sentence) > 2000 || !utf8.ValidString(e.Sentence) {
			t.Fatalf("the sentence is %q", e.Sentence)
		}
	})
}

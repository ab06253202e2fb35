package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func (ts *testServer) tested(body string) testsAnswer {
	ts.t.Helper()
	r := ts.do("POST", "/run/tests", body, "Content-Type", "application/json")
	var got testsAnswer
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || r.status != 200 {
		ts.t.Fatalf("got %d %s (%v), want tests", r.status, r.body, err)
	}
	return got
}

// testsOf is a body with the code, or any field before it, and cases in JSON.
func testsOf(fields string, cases ...string) string {
	return `{` + fields + `,"tests":[` + strings.Join(cases, ",") + `]}`
}

func codeField(lines ...string) string { return strings.Trim(runBody(lines...), "{}") }

func TestEveryCaseIsJudged(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{FloodBytes: 1 << 20})
	echo, fails := codeField("stdin"), codeField("stdin", "exit 3")
	tests := []struct {
		name, fields, test string
		want               verdict
		reason             string
	}{
		{"nothing is expected", echo, `{}`, passed, ""},
		{"the output is", echo, `{"stdin":"a b\n","expected_stdout":"a b\n"}`, passed, ""},
		{"the output is not", echo, `{"stdin":"a","expected_stdout":"b"}`, failed, "The output is not the expected one"},
		{"no output is expected", echo, `{"stdin":"a","expected_stdout":""}`, failed, "The output is not the expected one"},
		{"a line feed is missing at the end", echo, `{"stdin":"a","expected_stdout":"a\n"}`, passed, ""},
		{"blank lines at the end", echo, `{"stdin":"a\n\n \n","expected_stdout":"a"}`, passed, ""},
		{"white space at the end of lines", echo, `{"stdin":"a \t\r\nb\f\n","expected_stdout":"a\nb"}`, passed, ""},
		{"white space only", echo, `{"stdin":" \n\t","expected_stdout":""}`, passed, ""},
		{"white space at the begin of a line", echo, `{"stdin":" a","expected_stdout":"a"}`, failed, "The output is not the expected one"},
		{"white space in a line", echo, `{"stdin":"a  b","expected_stdout":"a b"}`, failed, "The output is not the expected one"},
		{"a blank line between", echo, `{"stdin":"a\n\nb","expected_stdout":"a\nb"}`, failed, "The output is not the expected one"},
		{"another exit code", fails, `{}`, failed, "Exited with code 3"},
		{"another exit code counts before the output", fails, `{"stdin":"a","expected_stdout":"b"}`, failed, "Exited with code 3"},
		{"the exit code that is expected", fails, `{"stdin":"a","expected_stdout":"a","expected_exit_code":3}`, passed, ""},
		{"0 where another is expected", echo, `{"expected_exit_code":3}`, failed, "Exited with code 0"},
		{"a signal that is expected", codeField("exit 139"), `{"expected_exit_code":139}`, passed, ""},
		{"a time-out", codeField("spin") + `,"timeout_ms":20`, `{"expected_stdout":""}`, failed, "Execution timed out after 20 milliseconds"},
		{"a time-out passes as nothing", codeField("spin") + `,"timeout_ms":20`, `{"expected_exit_code":137}`, failed, "Execution timed out after 20 milliseconds"},
		{"too much output", codeField("flood"), `{}`, failed, "Too much output: the limit is 1 MiB"},
		{"args", codeField("args"), `{"args":["x","y"],"expected_stdout":"x\ny"}`, passed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ts.tested(testsOf(tt.fields, tt.test))
			if len(got.Tests) != 1 || got.Verdict != tt.want || got.Tests[0].Verdict != tt.want || got.Passed+got.Failed != 1 || (got.Passed == 1) != (tt.want == passed) {
				t.Fatalf("got %+v", got)
			}
			c := got.Tests[0]
			if c.Run == nil || (c.Reason == nil) != (tt.reason == "") || c.Reason != nil && *c.Reason != tt.reason {
				t.Errorf("the reason is %v, want %q", c.Reason, tt.reason)
			}
		})
	}
}

func TestCasesRunInParallelAndKeepTheirOrder(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	const cases = 10
	var running, peak atomic.Int32
	full := make(chan struct{})
	fill := sync.OnceFunc(func() { close(full) })
	fake.OnRun = func(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		if n == 4 {
			fill()
		}
		if i := string(p.Stdin); i < "4" {
			select { // the first four must run beside each other
			case <-full:
			case <-ctx.Done():
			}
		}
		out.Stdout(p.Stdin)
		return sandbox.Result{Status: sandbox.OK}, nil
	}
	ts := startPool(t, fake, Config{}, pool.Config{Queue: cases})
	ts.warm()
	var list []string
	for i := range cases {
		list = append(list, fmt.Sprintf(`{"stdin":"%d","expected_stdout":"%d"}`, i, i))
	}
	got := ts.tested(testsOf(`"code":"1"`, list...))
	if got.Verdict != passed || got.Passed != cases || len(got.Tests) != cases || got.Language != "python" {
		t.Fatalf("got %+v", got)
	}
	ids := map[string]bool{got.ID: true}
	for i, c := range got.Tests {
		if c.Run.Stdout != fmt.Sprint(i) {
			t.Errorf("case %d printed %q", i, c.Run.Stdout)
		}
		ids[c.Run.ID] = true
	}
	if len(ids) != cases+1 {
		t.Errorf("there are %d different ids", len(ids))
	}
	if peak.Load() != 4 {
		t.Errorf("%d cases ran at once, want the pool's size", peak.Load())
	}
}

func TestCasesAfterAFailureAreSkippedWhenAskedSo(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	ts := start(t, fake, Config{})
	cases := []string{`{"stdin":"a"}`, `{"stdin":"a","expected_stdout":"b"}`, `{"stdin":"a"}`, `{"stdin":"b","expected_stdout":"c"}`}
	for _, stop := range []bool{false, true} {
		// One Node sandbox: the cases run one after the other.
		got := ts.tested(testsOf(codeField("stdin")+fmt.Sprintf(`,"language":"node","stop_on_failure":%v`, stop), cases...))
		want := []verdict{passed, failed, passed, failed}
		if stop {
			want = []verdict{passed, failed, skipped, skipped}
		}
		for i, c := range got.Tests {
			if c.Verdict != want[i] || (c.Run == nil) != (want[i] == skipped) || (c.Reason == nil) != (want[i] == passed) {
				t.Errorf("stop %v: case %d is %+v, want %s", stop, i, c, want[i])
			}
			if c.Verdict == skipped && *c.Reason != "A case before it failed" {
				t.Errorf("the reason is %q", *c.Reason)
			}
		}
		if got.Passed+got.Failed+got.Skipped != 4 || got.Verdict != failed || (got.Skipped == 2) != stop {
			t.Errorf("stop %v: got %+v", stop, got)
		}
	}
}

func TestACaseThatRanBesideAFailureBeforeItIsSkipped(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	second := make(chan struct{})
	fake.OnRun = func(ctx context.Context, p sandbox.Program, _ sandbox.Output) (sandbox.Result, error) {
		if string(p.Stdin) == "2" {
			close(second)
			return sandbox.Result{Status: sandbox.OK}, nil
		}
		select { // fails only after the next has run
		case <-second:
		case <-ctx.Done():
		}
		return sandbox.Result{Status: sandbox.Error, ExitCode: 1}, nil
	}
	ts := start(t, fake, Config{})
	got := ts.tested(testsOf(`"code":"1","stop_on_failure":true`, `{"stdin":"1"}`, `{"stdin":"2"}`))
	if got.Failed != 1 || got.Skipped != 1 || got.Tests[1].Run != nil {
		t.Errorf("got %+v", got)
	}
}

func TestOurFailureInOneCaseEndsThemAll(t *testing.T) {
	fake := sandboxtest.NewFake(t)
	others := make(chan struct{}, 10)
	fake.OnRun = func(ctx context.Context, p sandbox.Program, _ sandbox.Output) (sandbox.Result, error) {
		if string(p.Stdin) != "fail" {
			others <- struct{}{}
			<-ctx.Done()
			return sandbox.Result{}, ctx.Err()
		}
		for range 3 {
			select {
			case <-others:
			case <-ctx.Done():
			}
		}
		return sandbox.Result{}, errors.Join(sandbox.ErrEngine, errors.New("secret"))
	}
	ts := start(t, fake, Config{})
	ts.warm()
	body := testsOf(`"code":"1"`, `{}`, `{}`, `{"stdin":"fail"}`, `{}`, `{}`, `{}`)
	r := ts.do("POST", "/run/tests", body, "Content-Type", "application/json")
	r.refused(t, CodeEngineDown)
	if strings.Contains(r.body, "secret") {
		t.Errorf("the answer is %s", r.body)
	}
	eventually(t, "the four sandboxes are replaced", func() bool { return fake.Count().Launched == 9 && len(fake.IDs()) == 5 })
}

func TestAFullQueueIsWaitedOutBetweenCases(t *testing.T) {
	for refusals, code := range map[int]Code{3: "", 1e6: CodeQueueFull} {
		synctest.Test(t, func(t *testing.T) {
			s, err := newServer(Config{}, &full{refusals: refusals, err: pool.ErrQueueFull})
			if err != nil {
				t.Fatal(err)
			}
			defer s.end(nil)
			r := testsRequest{request: request{Code: "1"}, Tests: make([]testCase, 2)}
			tasks, err := s.cases(task{}, r)
			if err != nil {
				t.Fatal(err)
			}
			runs, err := s.executeCases(s.life, tasks, r, 1)
			if code == "" && (err != nil || len(runs) != 2 || runs[1] == nil) || code != "" && (err == nil || asError(err).Code != code) {
				t.Errorf("after %d refusals: %d runs and the error %v", refusals, len(runs), err)
			}
		})
	}
}

// badTests are what POST /run/tests refuses, beyond what /run does.
var badTests = []struct {
	name, body string
	code       Code
	sentence   string
}{
	{"no tests", `{"code":"1"}`, CodeInvalidField, "The field tests must have from 1 to 3 cases"},
	{"null for tests", `{"code":"1","tests":null}`, CodeInvalidField, "The field tests must have from 1 to 3 cases"},
	{"an empty list", testsOf(`"code":"1"`), CodeInvalidField, "The field tests must have from 1 to 3 cases"},
	{"too many", testsOf(`"code":"1"`, `{}`, `{}`, `{}`, `{}`), CodeInvalidField, "The field tests must have from 1 to 3 cases"},
	{"stdin beside tests", testsOf(`"code":"1","stdin":"x"`, `{}`), CodeInvalidField, "The fields stdin and args belong to each of the tests"},
	{"args beside tests", testsOf(`"code":"1","args":[]`, `{}`), CodeInvalidField, "The fields stdin and args belong to each of the tests"},
	{"an object for tests", `{"code":"1","tests":{}}`, CodeInvalidField, "The field tests holds a JSON object where a list belongs"},
	{"a string in tests", testsOf(`"code":"1"`, `"x"`), CodeInvalidField, "The field tests holds a JSON string where an object belongs"},
	{"a number for code", testsOf(`"code":1`, `{}`), CodeInvalidField, "The field code holds a JSON number where a string belongs"},
	{"a number for a file's name", testsOf(`"files":[{"name":1}]`, `{}`), CodeInvalidField, "The field files.name holds a JSON number where a string belongs"},
	{"a number for stdin", testsOf(`"code":"1"`, `{"stdin":1}`), CodeInvalidField, "The field tests.stdin holds a JSON number where a string belongs"},
	{"a string for args", testsOf(`"code":"1"`, `{"args":"x"}`), CodeInvalidField, "The field tests.args holds a JSON string where a list belongs"},
	{"a list for expected_stdout", testsOf(`"code":"1"`, `{"expected_stdout":[]}`), CodeInvalidField, "The field tests.expected_stdout holds a JSON array where a string belongs"},
	{"a fraction for expected_exit_code", testsOf(`"code":"1"`, `{"expected_exit_code":1.5}`), CodeInvalidField, "The field tests.expected_exit_code holds a JSON number where a whole number belongs"},
	{"a string for stop_on_failure", testsOf(`"code":"1","stop_on_failure":"yes"`, `{}`), CodeInvalidField, "The field stop_on_failure holds a JSON string where a boolean belongs"},
	{"an unknown field of a case", testsOf(`"code":"1"`, `{"stdout":"x"}`), CodeInvalidField, `There is no field "stdout"`},
	{"a bad argument in one", testsOf(`"code":"1"`, `{}`, `{"args":["\u0000"]}`), CodeInvalidField, "The program of tests[1] is not valid: args[0] has a NUL byte"},
	{"nothing to run", `{"tests":[{}]}`, CodeInvalidField, `The field code is empty and no file is named "main.py"`},
}

func TestBadTestsAreRefusedOverHTTP(t *testing.T) {
	ts := start(t, sandboxtest.NewFake(t), Config{MaxTests: 3})
	post := func(body string, header ...string) reply {
		return ts.do("POST", "/run/tests", body, append([]string{"Content-Type", "application/json"}, header...)...)
	}
	for _, tt := range badTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := post(tt.body).refused(t, tt.code); got.Error != tt.sentence {
				t.Errorf("got  %q\nwant %q", got.Error, tt.sentence)
			}
		})
	}
	for _, tt := range badBodies[:10] {
		post(tt.body).refused(t, tt.code)
	}
	if got := post(`{}`, "Content-Encoding", "gzip").refused(t, CodeUnsupportedMedia); got.Error != "The body must not have a Content-Encoding" {
		t.Errorf("the sentence is %q", got.Error)
	}
}

func FuzzTests(f *testing.F) {
	for _, bad := range badTests {
		f.Add([]byte(bad.body))
	}
	f.Add([]byte(testsOf(`"code":"1","stop_on_failure":true`, `{"stdin":"a","args":["b"],"expected_stdout":"c","expected_exit_code":1}`)))
	s, err := newServer(Config{MaxTests: 3}, &stub{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r testsRequest
		err := decode(body, &r)
		var tasks []task
		if err == nil {
			tasks, err = s.cases(task{}, r)
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || statusOf[e.Code]/100 != 4 || e.Sentence == "" || len(e.Sentence) > 2000 {
				t.Errorf("a bad body gave %v", err)
			}
			return
		}
		if len(tasks) != len(r.Tests) || len(tasks) == 0 || len(tasks) > 3 {
			t.Errorf("%d tests became %d tasks", len(r.Tests), len(tasks))
		}
		for i, c := range tasks {
			if string(c.program.Stdin) != r.Tests[i].Stdin || c.program.Validate() != nil {
				t.Errorf("the task %d is %+v", i, c)
			}
		}
	})
}

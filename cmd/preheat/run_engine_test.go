package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

func TestAProgramEndsTheSameHereAndOnAServer(t *testing.T) {
	makeTrees(t, "python", "node")
	s := startServer(t, "test-run", "--languages", "python,node", "--pool", "python=2,node=1", "--flood-bytes", "1m")
	file := func(name, code string) string { return write(t, name, code) }
	for name, test := range map[string]struct {
		args   []string
		stdin  string
		code   int
		stdout string // all of it
		stderr string // somewhere in it
	}{
		"a program that ends well": {[]string{file("a.py", "import sys; print(sys.argv, sys.stdin.read())"), "-x", "--timeout"}, "in ü", 0, "['a.py', '-x', '--timeout'] in ü\n", ""},
		"an exit code":             {[]string{"testdata/exit.py", "3"}, "", 3, "", ""},
		"a traceback":              {[]string{file("b.py", "print('so far'); raise ValueError('x')")}, "", 1, "so far\n", `File "/work/b.py", line 1`},
		"a module of node":         {[]string{file("c.mjs", "import os from 'os'; console.log(typeof os.cpus); process.exit(5)")}, "", 5, "function\n", ""},
		"a signal of its own":      {[]string{file("d.py", "import os; os.kill(os.getpid(), 15)")}, "", 143, "", ""},
		"no end":                   {[]string{"--timeout", "500ms", file("e.py", "print('so far')\nwhile True: pass")}, "", 124, "so far\n", "preheat: Execution timed out after "},
		"no memory":                {[]string{"--memory", "48m", file("f.py", "b = []\nwhile True: b.append(bytearray(1 << 20))")}, "", 137, "", "preheat: Out of memory: the limit is 48 MiB"},
		"too much output":          {[]string{"--flood-bytes", "1m", "--output-bytes", "1", file("g.py", "while True: print('x' * 100000)")}, "", 137, "x", "preheat: Too much output: the limit is 1 MiB"},
		"from standard input":      {[]string{"--language", "js", "-"}, "console.log(__filename)", 0, "/work/main.js\n", ""},
		"variables and files":      {[]string{"--env", "A=b=c", "--file", "d=testdata", file("h.py", "import os; print(os.environ['A'], os.listdir('d'))")}, "", 0, "b=c ['exit.py']\n", ""},
		"a name that is none":      {[]string{"--env", "1=2", "testdata/exit.py"}, "", 125, "", "is not a name"},
	} {
		for way, flags := range map[string][]string{
			"here": {"--driver", "docker"}, "here without a daemon": {"--driver", "oci"}, "on a server": {"--server", s.url},
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				cmd := command(slices.Concat([]string{"run"}, flags, test.args)...)
				cmd.Stdin = strings.NewReader(test.stdin)
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				cmd.Run()
				if code := cmd.ProcessState.ExitCode(); code != test.code || stdout.String() != test.stdout || !strings.Contains(stderr.String(), test.stderr) {
					t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
				}
				if test.code < 124 && strings.Contains(stderr.String(), "preheat") {
					t.Errorf("preheat says %q", stderr.String())
				}
			})
		}
	}
}

func TestFilesComeBackFromBothWays(t *testing.T) {
	s := startServer(t, "test-run-files", "--languages", "python", "--pool", "python=1")
	program := write(t, "a.py", "import os\nos.mkdir('out')\nopen('out/b', 'wb').write(bytes(range(256)))\nopen('c', 'w')\nos.symlink('/etc/passwd', 'out/d')")
	for _, server := range []string{"", s.url} {
		dir := filepath.Join(t.TempDir(), "new")
		out, code := output(command("run", "--server", server, "--collect", "out/*", "--output", dir, program))
		got, err := os.ReadFile(filepath.Join(dir, "out", "b"))
		all, _ := filepath.Glob(dir + "/*/*")
		if code != 0 || err != nil || len(got) != 256 || got[255] != 255 || len(all) != 1 {
			t.Errorf("%q: exit code %d, printed %s; %d bytes, %v, %s", server, code, out, len(got), err, all)
		}
	}
}

// startRun starts preheat run with args, and returns once the program has
// printed a line.
func startRun(t *testing.T, args ...string) (cmd *exec.Cmd, stdout io.ReadCloser) {
	t.Helper()
	cmd = command(append([]string{"run"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "begun\n" {
		t.Fatalf("it printed %q, %v", line, err)
	}
	return cmd, stdout
}

func TestARunThatIsInterruptedLeavesNothing(t *testing.T) {
	s := startServer(t, "test-run-ended", "--languages", "python", "--pool", "python=1", "--timeout", "1h")
	program := write(t, "a.py", "import time\nprint('begun', flush=True)\nwhile True:\n  time.sleep(.1)\n  print('more', flush=True)")
	for name, test := range map[string]struct {
		end  func(cmd *exec.Cmd, stdout io.Closer)
		code int
	}{
		"by a signal":           {func(cmd *exec.Cmd, _ io.Closer) { cmd.Process.Signal(syscall.SIGINT) }, 130},
		"by a reader that went": {func(_ *exec.Cmd, stdout io.Closer) { stdout.Close() }, 141},
	} {
		for _, server := range []string{"", s.url} {
			t.Run(name+" "+server, func(t *testing.T) {
				cmd, stdout := startRun(t, "--server", server, "--timeout", "1h", program)
				mine := fmt.Sprintf("run/%d/", cmd.Process.Pid)
				if server == "" && len(instances(t, mine)) != 1 {
					t.Error("the sandbox is not to be seen")
				}
				test.end(cmd, stdout)
				cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != test.code {
					t.Errorf("exit code %d", code)
				}
				if left := instances(t, mine); len(left) > 0 {
					t.Errorf("it left %v", left)
				}
				eventually(t, "no run goes on", func() bool { return strings.Contains(s.get(t, "/pool"), `"leased":0`) })
			})
		}
	}
}

// instances returns the instances of the engine's containers that begin so.
func instances(t *testing.T, prefix string) []string {
	t.Helper()
	dial := enginetest.Client(t).Dialer()
	engine := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
	resp, err := engine.Get("http://engine/containers/json?all=1&filters=" + url.QueryEscape(`{"label":["preheat.instance"]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var found []struct{ Labels map[string]string }
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range found {
		if name := c.Labels["preheat.instance"]; strings.HasPrefix(name, prefix) {
			list = append(list, name)
		}
	}
	return list
}

func TestTheFirstKeyCountsWhileTheServerRuns(t *testing.T) {
	data := t.TempDir()
	s := startServer(t, "test-keys", "--languages", "python", "--pool", "python=1", "--data", data)
	run := func(env string) (string, int) {
		cmd := command("run", "--server", s.url, "testdata/exit.py")
		cmd.Env = append(cmd.Env, env)
		return output(cmd)
	}
	if out, code := run(""); code != 0 {
		t.Fatalf("without a key: exit code %d, %s", code, out)
	}
	if runs := s.get(t, "/runs"); strings.Count(runs, `"id"`) != 1 {
		t.Errorf("the history is %s", runs)
	}
	secret, err := command("keys", "add", "ci", "--data", data).Output()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a key is needed", func() bool {
		out, code := run("")
		return code == 125 && strings.Contains(out, "(unauthorized)")
	})
	if out, code := run("PREHEAT_KEY=" + strings.TrimSpace(string(secret))); code != 0 {
		t.Errorf("with the key: exit code %d, %s", code, out)
	}
	file := write(t, "key", string(secret))
	if out, code := output(command("run", "--server", s.url, "--key-file", file, "testdata/exit.py", "4")); code != 4 {
		t.Errorf("with the key in a file: exit code %d, %s", code, out)
	}

	// A second server has the same keys, and cannot have the same history.
	out, code := output(command("serve", "--addr", "127.0.0.1:0", "--instance", "test-keys-2", "--languages", "python", "--data", data))
	if code != 1 || !strings.Contains(out, "is in use by another preheat") || !strings.Contains(out, "--history=false") {
		t.Errorf("a second server: exit code %d, %s", code, out)
	}
	second := startServer(t, "test-keys-2", "--languages", "python", "--pool", "python=0", "--data", data, "--history=false", "--addr", "0.0.0.0:0")
	if a := second.post(t, python("1")); a.Code != "unauthorized" {
		t.Errorf("the second server, on every address: %s", a.body)
	}
}

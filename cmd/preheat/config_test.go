package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestConfigFilesThatCannotBeUnderstood(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"# nothing\n":                    "",
		"addr: 127.0.0.1:1\n":            "",
		"adr: x":                         `f:1: there is no setting "adr"`,
		"queue: 1\n\nadr: x":             `f:3: there is no setting "adr"`,
		"config: x":                      `f:1: there is no setting "config"`,
		"help: true":                     `f:1: there is no setting "help"`,
		"queue: 1\nqueue: 2":             "f:2: queue is there twice, first in line 1",
		"queue: many":                    "f:1: queue: ",
		"queue: 1.5":                     "f:1: queue: ",
		"queue: [1]":                     "f:1: queue: want a plain value",
		"queue: {a: 1}":                  "f:1: queue: want a plain value",
		"queue:":                         "f:1: queue: the value is missing",
		"\nhistory: perhaps":             "f:2: history: ",
		"timeout: 10":                    "f:1: timeout: ",
		"memory: lots":                   "f:1: memory: want a size like 64k",
		"languages: {python: 1}":         "f:1: languages: want a list",
		"languages: [[python]]":          "f:1: languages: want a plain value",
		"languages: [~]":                 "f:1: languages: the value is missing",
		"pool: {python: 1, python: 2}":   "f:1: pool: python is there twice",
		"pool: {python: many}":           "f:1: pool: ",
		"pool: [python]":                 "f:1: pool: want a mapping",
		"runtime: {python: a, node: /}":  "f:1: runtime: want a runtime like",
		"- addr":                         "f:1: want lines like",
		"addr":                           "f:1: want lines like",
		"addr: a\n---\naddr: b":          "f:2: there is a second document",
		"a: b: c":                        "f: it is not YAML: ",
		"a: [":                           "it is not YAML: ",
		"\x00":                           "f: it is not YAML: ",
		"? [a]\n: b":                     "f:1: the key is not a name",
		"queue: *a":                      "it is not YAML: ",
		"a: &a 1\nqueue: *a":             "f:1: there is no setting",
		"max-tests: &a 1\nmax-async: *a": "f:2: max-async: want a plain value",
	} {
		settings, err := parseConfig("f", []byte(text))
		if err == nil {
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			defaultOptions().register(flags)
			err = fromFile(flags, settings)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("addr: a\npool: {a: 1}\nlanguages: [x, y]\n"))
	f.Add([]byte("? [a]\n: {b: *c}\n--- \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parseConfig("f", data)
		if err != nil {
			return
		}
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		defaultOptions().register(flags)
		fromFile(flags, settings) // it may refuse them
	})
}

// configured is what `preheat config` prints of a setting.
func configured(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := command(append([]string{"config"}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

func TestAFlagWinsOverTheEnvironmentOverTheFileOverTheDefault(t *testing.T) {
	file := write(t, "preheat.yaml", "queue: 3\npool:\n  python: 7\nlanguages:\n  - node\n  - python\n")
	inFile, inEnv := []string{"--config", file}, []string{"PREHEAT_QUEUE=4"}
	for name, test := range map[string]struct {
		setting string
		env     []string
		args    []string
		want    string
	}{
		"default":             {"queue", nil, nil, "32 # default"},
		"file":                {"queue", nil, inFile, "3 # " + file + ":1"},
		"environment":         {"queue", inEnv, inFile, "4 # PREHEAT_QUEUE"},
		"flag":                {"queue", inEnv, append(inFile, "--queue", "5"), "5 # --queue"},
		"file by environment": {"queue", []string{"PREHEAT_CONFIG=" + file}, nil, "3 # " + file + ":1"},
		"a mapping":           {"pool", nil, inFile, "{python: 7} # " + file + ":2"},
		"a list":              {"languages", nil, inFile, "[node, python] # " + file + ":4"},
		"a list by flag":      {"languages", nil, append(inFile, "--languages", "node"), "[node] # --languages"},
	} {
		if got := configured(t, test.env, test.setting, test.args...); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestWhatConfigPrintsIsAConfigFile(t *testing.T) {
	changed := []string{"--pool", "python=8,node=0", "--runtime", "runsc,node=runc", "--memory", "1.5g", "--cpus", "1.5",
		"--history=false", "--addr", "[::1]:80", "--allowed-hosts", "a,b:80", "--instance", "yes: #no", "--history-age", "90m"}
	first, err := command(append([]string{"config"}, changed...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "saved.yaml", string(first))
	second, err := command("config", "--config", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := func(out []byte) (list []string) {
		for line := range strings.Lines(string(out)) {
			if value, _, ok := strings.Cut(line, " # "); ok {
				list = append(list, value)
			}
		}
		return list
	}
	a, b := values(first), values(second)
	if len(a) < 40 || strings.Join(a, "\n") != strings.Join(b, "\n") {
		t.Errorf("it was\n%s\nand became\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	if n := bytes.Count(second, []byte(" # "+file+":")); n != len(b)-1 { // the test's environment has --data
		t.Errorf("%d of %d are from the file:\n%s", n, len(b), second)
	}
	asJSON, err := command("config", "--json", "--config", file).Output()
	if err != nil || !bytes.Contains(asJSON, []byte(`"runtime": {`+"\n"+`    "value": "runsc,node=runc",`)) {
		t.Errorf("%v: %s", err, asJSON)
	}
}

func TestTheConfigFileThatIsNamedMustBeThereAndRight(t *testing.T) {
	wrong := write(t, "wrong.yaml", "\nqueue: many\n")
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"config", "--config", "/nonexistent.yaml"}, 2, "no such file"},
		{[]string{"config", "--config", wrong}, 2, wrong + ":2: queue: "},
		{[]string{"serve", "--config", wrong}, 2, wrong + ":2: queue: "},
		{[]string{"keys", "list", "--config", wrong}, 2, wrong + ":2: queue: "},
		{[]string{"run", "--config", wrong, "testdata/exit.py"}, 125, wrong + ":2: queue: "},
		{[]string{"version", "--config", wrong}, 0, "dev"},
		{[]string{"config", "--memory", "1m"}, 2, "memory: 1m # --memory"},
	} {
		out, code := output(command(test.args...))
		if code != test.code || !strings.Contains(out, test.want) {
			t.Errorf("%q: exit code %d, printed %s; want %d, %q", test.args, code, out, test.code, test.want)
		}
	}
}

func TestFoldersOfAUserAndOfRoot(t *testing.T) {
	for name, test := range map[string]struct {
		env          map[string]string
		uid          int
		data, config string
	}{
		"root":     {map[string]string{"HOME": "/root", "XDG_STATE_HOME": "/s"}, 0, "/var/lib/preheat", "/etc/preheat/preheat.yaml"},
		"a user":   {map[string]string{"HOME": "/home/u"}, 1000, "/home/u/.local/state/preheat", "/home/u/.config/preheat/preheat.yaml"},
		"XDG":      {map[string]string{"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}, 1000, "/s/preheat", "/c/preheat/preheat.yaml"},
		"relative": {map[string]string{"HOME": "/h", "XDG_STATE_HOME": "s"}, 1000, "/h/.local/state/preheat", "/h/.config/preheat/preheat.yaml"},
		"no home":  {nil, 1000, "", ""},
	} {
		getenv := func(name string) string { return test.env[name] }
		if data, config := dataFolder(getenv, test.uid), configFile(getenv, test.uid); data != test.data || config != test.config {
			t.Errorf("%s: %q and %q", name, data, config)
		}
	}
}

// write makes a file in a folder of the test's own and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// The test binary is also the command, so that it runs as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("PREHEAT_TEST_COMMAND") != "" {
		os.Unsetenv("PREHEAT_TEST_COMMAND")
		os.Exit(run(os.Args[1:]))
	}
	// What this machine has must not decide, nor be changed.
	data, err := os.MkdirTemp("", "preheat-test-")
	if err != nil {
		panic(err)
	}
	os.Setenv("PREHEAT_DATA", data)
	os.Setenv("PREHEAT_CONFIG", "")
	os.Unsetenv("PREHEAT_DRIVER")
	code := m.Run()
	os.RemoveAll(data)
	os.Exit(code)
}

// command returns preheat with args, not started.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	// The race detector makes a process sleep for a second when it exits.
	cmd.Env = append(os.Environ(), "PREHEAT_TEST_COMMAND=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func TestCommandLine(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  string
		code int
		want string // somewhere in what is printed
	}{
		"help":                    {nil, "", 0, "Commands:"},
		"version":                 {[]string{"version"}, "", 0, "dev"},
		"unknown command":         {[]string{"dance"}, "", 2, `unknown command "dance"`},
		"a command misspelt":      {[]string{"serv"}, "", 2, "did you mean serve?"},
		"one below it misspelt":   {[]string{"keys", "lst"}, "", 2, "did you mean list?"},
		"unknown flag":            {[]string{"serve", "--dance"}, "", 2, "see `preheat serve --help`"},
		"argument too many":       {[]string{"serve", "now"}, "", 2, "see `preheat serve --help`"},
		"a size that is none":     {[]string{"serve", "--memory", "lots"}, "", 2, "want a size like 64k"},
		"a size from outside":     {[]string{"serve"}, "PREHEAT_MEMORY=lots", 2, "the environment's PREHEAT_MEMORY: "},
		"the flag wins":           {[]string{"serve", "--memory", "1m"}, "PREHEAT_MEMORY=lots", 2, "at least 16 MiB"},
		"an address for everyone": {[]string{"serve", "--addr", "0.0.0.0:5000"}, "", 2, "make a key with `preheat keys add NAME`, or say --allow-remote"},
		"a ceiling too low":       {[]string{"serve", "--addr", "127.0.0.1:0", "--max-timeout", "1s"}, "", 2, "the longest timeout is below the default one"},
		"no bound for tests":      {[]string{"serve", "--max-tests", "0"}, "", 2, "--max-tests must be positive"},
		"no folder for data":      {[]string{"serve", "--data", ""}, "", 2, "--data: name a folder"},
		"no program":              {[]string{"run"}, "", 125, "see `preheat run --help`"},
		"a program that is not":   {[]string{"run", "/nonexistent.py"}, "", 125, "no such file"},
		"a suffix of no language": {[]string{"run", "a.cobol"}, "", 125, "say which with --language"},
		"no language for stdin":   {[]string{"run", "-"}, "", 125, "say in which --language"},
		"collect into nowhere":    {[]string{"run", "--collect", "*", "a.py"}, "", 125, "--collect needs --output"},
		"an env that is not":      {[]string{"run", "--env", "NO_SUCH", "main_test.py"}, "", 125, "no such variable"},
		"less memory than works":  {[]string{"run", "--memory", "512k", "--server", "http://127.0.0.1:1", "testdata/exit.py"}, "", 125, "at least 16 MiB"},
		"no time at all":          {[]string{"run", "--timeout", "0s", "--server", "http://127.0.0.1:1", "testdata/exit.py"}, "", 125, "--timeout must be"},
		"a server that is none":   {[]string{"run", "--server", "ftp://x", "testdata/exit.py"}, "", 125, "want a URL like"},
		"a server that is gone":   {[]string{"run", "--server", "http://127.0.0.1:1", "testdata/exit.py"}, "", 125, "connection refused"},
		"no engine to run on":     {[]string{"run", "testdata/exit.py"}, "DOCKER_HOST=unix:///nonexistent.sock", 125, "make engine"},
		"a driver that is none":   {[]string{"serve", "--driver", "kubernetes"}, "", 2, "--driver: want one of auto, docker, oci"},
		"nor one from outside":    {[]string{"run", "testdata/exit.py"}, "PREHEAT_DRIVER=podman", 125, "--driver: want one of auto, docker, oci"},
		"nor for images":          {[]string{"images", "list", "--driver", "x"}, "", 2, "--driver: want one of"},
		"no port":                 {[]string{"serve", "--addr", "localhost"}, "", 2, "missing port"},
		"an unknown language":     {[]string{"images", "build", "cobol"}, "", 2, `unknown language "cobol"; there are `},
		"an unknown base":         {[]string{"images", "build", "--base", "arch"}, "", 2, "want auto, registry or debian"},
		"no engine":               {[]string{"doctor"}, "DOCKER_HOST=unix:///nonexistent.sock", 1, "make engine"},
		"no engine to serve with": {[]string{"serve", "--addr", "127.0.0.1:0"}, "DOCKER_HOST=unix:///nonexistent.sock", 1, "make engine"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(test.args...)
			cmd.Env = append(cmd.Env, test.env)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(out.String(), test.want) {
				t.Errorf("exit code %d, printed %q; want %d, %q", code, out.String(), test.code, test.want)
			}
		})
	}
}

func TestEveryFlagHasATwinInTheEnvironment(t *testing.T) {
	o := defaultOptions()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(flags)
	env := map[string]string{
		"PREHEAT_ADDR": "127.0.0.1:1", "PREHEAT_POOL": "python=8,node=0", "PREHEAT_MEMORY": "256m", "PREHEAT_QUEUE_TIMEOUT": "3s",
		"PREHEAT_LANGUAGES": "python,node", "PREHEAT_ALLOW_REMOTE": "true", "PREHEAT_CPUS": "1.5",
	}
	if err := fromEnv(flags, func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	if o.addr != "127.0.0.1:1" || o.pool["python"] != 8 || o.pool["node"] != 0 || o.limits.MemoryBytes != 256<<20 ||
		o.queueTimeout.Seconds() != 3 || len(o.languages) != 2 || !o.allowRemote || o.limits.CPUs != 1.5 {
		t.Errorf("the options are %+v", o)
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if err := f.Value.Set(f.Value.String()); err != nil && f.Value.Type() != "stringToInt" {
			t.Errorf("--%s does not take what it prints: %v", f.Name, err)
		}
	})
}

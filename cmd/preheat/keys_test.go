package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/preheat/preheat/keys"
)

// output runs cmd and returns all that it printed and its exit code.
func output(cmd *exec.Cmd) (string, int) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run()
	return out.String(), cmd.ProcessState.ExitCode()
}

func TestAKeyIsShownOnceAndOnStdoutAlone(t *testing.T) {
	data := filepath.Join(t.TempDir(), "made", "on demand")
	add := command("keys", "add", "ci", "--data", data, "--rate", "5", "--daily", "1000", "--languages", "python,node", "--expires", "720h")
	add.Env = append(add.Env, "PREHEAT_RATE=9", "PREHEAT_BURST=99") // are of no meaning
	var stderr bytes.Buffer
	add.Stderr = &stderr
	stdout, err := add.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	secret := strings.TrimSuffix(string(stdout), "\n")
	if !strings.HasPrefix(secret, keys.Prefix) || strings.ContainsAny(secret, " \n") || strings.Contains(stderr.String(), secret) {
		t.Errorf("stdout %q, stderr %q", stdout, stderr.String())
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	ring, err := keys.Open(keys.Config{Path: filepath.Join(data, "keys.json")})
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	key, err := ring.Authenticate(secret)
	if err != nil {
		t.Fatal(err)
	}
	if l := key.Limits; l.Rate != 5 || l.Burst != 0 || l.Daily != 1000 || len(l.Languages) != 2 || time.Until(l.Expires).Round(time.Hour) != 720*time.Hour {
		t.Errorf("the limits are %+v", l)
	}

	list, code := output(command("keys", "list", "--data", data))
	if fields := strings.Fields(strings.Split(list, "\n")[1]); code != 0 || strings.Contains(list, secret) || fields[0] != "ci" ||
		strings.Join(fields[5:], " ") != "5 - - 1000 python,node" {
		t.Errorf("exit code %d, the list is\n%s", code, list)
	}
	if out, code := output(command("keys", "remove", "ci", "--data", data)); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if list, _ := output(command("keys", "list", "--data", data)); strings.Contains(list, "ci") {
		t.Errorf("after its removal the list is\n%s", list)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	data := t.TempDir()
	if out, code := output(command("keys", "add", "a", "--data", data)); code != 0 {
		t.Fatal(out)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"add"}, 2, "accepts 1 arg(s)"},
		{[]string{"add", "a"}, 1, "a key of this name exists"},
		{[]string{"add", "a b"}, 1, "a key's name must be"},
		{[]string{"add", "b", "--rate", "-1"}, 2, "the rate must be"},
		{[]string{"add", "b", "--burst", "1"}, 2, "a burst needs a rate"},
		{[]string{"add", "b", "--expires", "-1h"}, 2, "--expires must be positive"},
		{[]string{"add", "b", "--languages", "cobol"}, 2, `unknown language "cobol"`},
		{[]string{"remove", "b"}, 1, "no key has this name"},
	} {
		out, code := output(command(append([]string{"keys", "--data", data}, test.args...)...))
		if code != test.code || !strings.Contains(out, test.want) {
			t.Errorf("%q: exit code %d, printed %s; want %d, %q", test.args, code, out, test.code, test.want)
		}
	}
}

func TestAKeyThatIsOverIsListedAsSuch(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out bytes.Buffer
	if err := printKeys(&out, []keys.Key{{Name: "old", Created: now, Limits: keys.Limits{Expires: now}}}, now); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "(over)  -") {
		t.Errorf("printed\n%s", out.String())
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/images"
)

func TestDoctorJudges(t *testing.T) {
	members := func(size int) []pool.Member {
		return []pool.Member{{Language: sandbox.Language{Name: "python", Limits: sandbox.Limits{MemoryBytes: 128 << 20}}, Size: size}}
	}
	for name, test := range map[string]struct {
		check doctor.Check
		want  doctor.Level
		says  string // somewhere in what was found or advised
	}{
		"a pool that fits":          {judgeMemory(members(4), 1<<30), doctor.Pass, "4 warm sandboxes may take 512 MiB of 1.0 GiB"},
		"a pool that is too large":  {judgeMemory(members(40), 1<<30), doctor.Warn, "serve would keep 6"},
		"a machine that is small":   {judgeMemory(members(4), 100<<20), doctor.Fail, "lower --memory"},
		"a machine of unknown size": {judgeMemory(members(4), 0), doctor.Warn, "does not know"},
		"no pool":                   {judgeMemory(members(0), 1<<30), doctor.Pass, "0 warm sandboxes"},
		"a fresh image":             {judgeImage(images.Image{Language: "python", Ref: "preheat-python:latest", Freshness: images.Fresh}), doctor.Pass, "fresh"},
		"a stale image":             {judgeImage(images.Image{Language: "python", Ref: "preheat-python:latest", Freshness: images.Stale}), doctor.Warn, "preheat images build python"},
		"a missing image":           {judgeImage(images.Image{Language: "python", Ref: "preheat-python:latest", Freshness: images.Missing}), doctor.Fail, "preheat images build python"},
		"a runtime":                 {judgeRuntime("python", sandbox.Runtime{Name: "runc"}), doctor.Pass, "runc"},
		"a runtime without limits":  {judgeRuntime("python", sandbox.Runtime{Name: "runsc", Warnings: []string{"no limit holds"}}), doctor.Warn, "no limit holds"},
		"a run":                     {judgeRun("run python", sandbox.Result{Status: sandbox.OK, Duration: 4200 * time.Microsecond}, "", time.Second), doctor.Pass, "warm in 1000 ms, ran in 4.2 ms"},
		"a run out of memory":       {judgeRun("run python", sandbox.Result{Status: sandbox.OutOfMemory, ExitCode: 137}, "", time.Second), doctor.Fail, "larger --memory"},
		"a run that fails":          {judgeRun("run python", sandbox.Result{Status: sandbox.Error, ExitCode: 1}, "no\nmodule", time.Second), doctor.Fail, "exit code 1: no module"},
		"no engine":                 {failed("engine", errors.New("it does not answer\nstart one")), doctor.Fail, "start one"},
	} {
		if c := test.check; c.Level != test.want || !strings.Contains(c.Found+" "+c.Advice, test.says) || (c.Advice == "") != (c.Level == doctor.Pass) {
			t.Errorf("%s: %+v; want %s, %q", name, c, test.want, test.says)
		}
	}
}

func TestDoctorPrintsAnAlignedTable(t *testing.T) {
	var out bytes.Buffer
	err := report(&out, []doctor.Check{
		{Name: "engine", Level: doctor.Pass, Found: "29.1.0"},
		{Name: "image python", Level: doctor.Warn, Found: "stale", Advice: "make it again\nor not"},
	}, false)
	want := "pass  engine        29.1.0\n" +
		"warn  image python  stale\n" +
		"                    → make it again\n" +
		"                    → or not\n"
	if err != nil || out.String() != want {
		t.Errorf("%v, printed\n%s", err, out.String())
	}
}

// doctorOf runs the command and returns what it printed and its exit code.
func doctorOf(t *testing.T, env string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(append([]string{"doctor"}, args...)...)
	cmd.Env = append(cmd.Env, env)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestDoctorOfARealEngine(t *testing.T) {
	enginetest.Client(t)
	stdout, stderr, code := doctorOf(t, "")
	if fails := strings.Contains("\n"+stdout, "\nfail "); fails != (code == 1) || fails == (stderr == "") {
		t.Errorf("exit code %d, stderr %q:\n%s", code, stderr, stdout)
	}
	for _, line := range []string{
		`(?:pass|warn) +engine +\d+\.\d+.*, API 1\.\d+`,
		`pass +limits +memory, pids, cpu`,
		`pass +memory +8 warm sandboxes may take 1.0 GiB of `,
		`(?:pass|warn) +image python +preheat-python:latest, (?:fresh|stale), version 3\.`,
		`pass +run python +ok, warm in \d+ ms, ran in `,
		`pass +run node +ok, warm in \d+ ms, ran in `,
	} {
		if !regexp.MustCompile(`(?m)^(` + line + `)`).MatchString(stdout) {
			t.Errorf("no line is like %q:\n%s", line, stdout)
		}
	}
}

func TestDoctorOfAMachineWithoutADaemon(t *testing.T) {
	makeTrees(t, "python")
	stdout, stderr, code := doctorOf(t, "", "--driver", "oci", "--languages", "python")
	if fails := strings.Contains("\n"+stdout, "\nfail "); fails != (code == 1) || fails == (stderr == "") {
		t.Errorf("exit code %d, stderr %q:\n%s", code, stderr, stdout)
	}
	for _, line := range []string{
		`pass +engine +no daemon, \w+ \d`,
		`\w+ +(?:crun|runc) +\d`,
		`pass +cgroup +version [12]`,
		`(?:pass|warn) +limits +`,
		`pass +user +root`,
		`pass +image python +/.*/images/python-\w+-\w+, fresh, version 3\.`,
		`pass +runtime python +(?:crun|runc)`,
		`pass +run python +ok, warm in \d+ ms, ran in `,
	} {
		if !regexp.MustCompile(`(?m)^(` + line + `)`).MatchString(stdout) {
			t.Errorf("no line is like %q:\n%s", line, stdout)
		}
	}
}

func TestDoctorInJSON(t *testing.T) {
	enginetest.Client(t)
	var got struct {
		OK     bool
		Checks []doctor.Check
	}
	stdout, stderr, code := doctorOf(t, "", "--json", "--languages", "python", "--runtime", "no-such-runtime")
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	last := got.Checks[len(got.Checks)-1]
	if code != 1 || got.OK || last.Name != "runtime python" || last.Level != doctor.Fail || !strings.Contains(stderr, "1 of ") {
		t.Errorf("exit code %d, stderr %q, %+v", code, stderr, got)
	}
}

func TestDoctorWhereNoEngineAnswers(t *testing.T) {
	const nowhere = "DOCKER_HOST=unix:///nonexistent.sock"
	stdout, stderr, code := doctorOf(t, nowhere, "--json")
	if code != 1 || !strings.Contains(stdout, `"level": "fail"`) || !strings.Contains(stdout, "make engine") {
		t.Errorf("exit code %d, stderr %q, printed %s", code, stderr, stdout)
	}
	if stdout, _, code := doctorOf(t, nowhere, "--quiet"); code != 1 || stdout != "" {
		t.Errorf("quiet: exit code %d, printed %q", code, stdout)
	}
}

func TestDoctorIsQuietAboutAllButTheEngine(t *testing.T) {
	enginetest.Client(t)
	if stdout, stderr, code := doctorOf(t, "PREHEAT_MEMORY=lots", "--quiet"); code != 0 || stdout+stderr != "" {
		t.Errorf("exit code %d, printed %q and %q", code, stdout, stderr)
	}
	if _, stderr, code := doctorOf(t, "PREHEAT_MEMORY=lots"); code != 2 || !strings.Contains(stderr, "PREHEAT_MEMORY") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

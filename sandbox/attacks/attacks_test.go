package attacks

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/preheat/preheat/sandbox"
)

const header = "tries: Do harm.\nweak: unlimited\nsandbox: ok CONTAINED\ncontrol: ok ESCAPED\n"

func catalogueOf(text string) fstest.MapFS {
	return fstest.MapFS{
		"probe.py":    {Data: []byte("pass")},
		"probe.js":    {Data: []byte(";")},
		"harm.txtar":  {Data: []byte(text)},
		"ignored.txt": {Data: []byte("?")},
	}
}

func TestTheCatalogueIsWholeAndEveryWeaknessIsUsed(t *testing.T) {
	all, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	names, weak, seen := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, a := range all {
		names[a.Name] = true
		for _, w := range a.Weak {
			weak[w] = true
		}
		if key := a.Name + "/" + a.Language; seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		if a.Look != nil && !strings.Contains(string(a.Files[0].Content), "PLANTED") {
			t.Errorf("%s never says that it planted something", a.Name)
		}
	}
	if len(names) < 80 {
		t.Errorf("there are %d attacks, want at least 80", len(names))
	}
	for w := range Weaknesses {
		if !weak[w] {
			t.Errorf("no attack needs the weakness %s", w)
		}
	}
	t.Logf("%d attacks, %d programs", len(names), len(all))
}

func TestFilesThatAreNotAsDescribedAreRefused(t *testing.T) {
	const program = "-- main.py --\npass\n"
	for want, text := range map[string]string{
		"":                       header + program,
		"not a key and a value":  header + "sandbox\n" + program,
		"runc: there is no such": header + "control/python/runc: ok\n" + program,
		"there is no such key":   header + "colour: red\n" + program,
		"no weakness":            strings.Replace(header, "unlimited", "lazy", 1) + program,
		"want a weakness":        strings.Replace(header, "weak: unlimited\n", "", 1) + program,
		"want one sentence":      strings.Replace(header, "harm.", "harm", 1) + program,
		"no status":              header + "sandbox: fine\n" + program,
		"want an outcome":        strings.Replace(header, "control: ok ESCAPED\n", "", 1) + program,
		"invalid syntax":         header + "sandbox: error/x\n" + program,
		"invalid duration":       header + "timeout: soon\n" + program,
		"only stderr":            header + "verdict: stdout\n" + program,
		"there is no program":    header,
		"is given twice":         header + program + program,
		"belongs to no program":  header + program + "-- look.js --\n;\n",
	} {
		_, err := load(catalogueOf(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "harm.txtar")) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestOneFileIsAnAttackInEachOfItsLanguages(t *testing.T) {
	all, err := load(catalogueOf(header + "-- main.js --\na\n-- main.py --\nb\n-- look.py --\nc\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Language != "python" || all[1].Language != "node" {
		t.Fatalf("got %+v", all)
	}
	if got := string(all[0].Look[0].Content) + string(all[0].Files[0].Content) + all[0].Look[1].Name; got != "c\nb\nprobe.py" {
		t.Errorf("the Python programs are %q", got)
	}
	if all[1].Look != nil || string(all[1].Files[0].Content) != "a\n" {
		t.Errorf("the Node.js programs are %+v", all[1])
	}
}

func TestTheMostSpecialExpectationCounts(t *testing.T) {
	all, err := load(catalogueOf(header + "sandbox: error/3 *\nsandbox/node: ok node\nsandbox/runsc: ok runsc\n" +
		"sandbox/node/runsc: ok \"both\\x00\"\nabsent: ok none\n-- main.py --\n-- main.js --\n"))
	if err != nil {
		t.Fatal(err)
	}
	python, node := all[0], all[1]
	for _, test := range []struct {
		attack    Attack
		runtime   string
		status    sandbox.Status
		code      int
		verdict   string
		contained bool
	}{
		{python, "runc", sandbox.OK, 0, "CONTAINED", true},
		{python, "runc", sandbox.OK, 0, "CONTAINED EPERM", false},
		{python, "runc", sandbox.Timeout, 137, "CONTAINED", false},
		{python, "runc", sandbox.Error, 3, "anything", true},
		{python, "runc", sandbox.Error, 4, "anything", false},
		{python, "runsc", sandbox.OK, 0, "runsc", true},
		{python, "runsc", sandbox.OK, 0, "CONTAINED", false},
		{node, "runc", sandbox.OK, 0, "node", true},
		{node, "runsc", sandbox.OK, 0, "both\x00", true},
		{node, "runsc", sandbox.OK, 0, "node", false},
	} {
		seen := Seen{Outcome: Outcome{test.status, test.code, test.verdict}}
		if _, err := test.attack.Judge(test.runtime, seen); (err == nil) != test.contained {
			t.Errorf("%s in %s: %s: %v", test.attack.Language, test.runtime, seen.Outcome, err)
		}
	}
	for verdict, want := range map[string][2]bool{"ESCAPED": {false, true}, "none": {true, true}, "CONTAINED": {false, false}} {
		_, absent, err := python.JudgeControl(Seen{Outcome: Outcome{sandbox.OK, 0, verdict}})
		if absent != want[0] || (err == nil) != want[1] {
			t.Errorf("control %s: absent %t, %v", verdict, absent, err)
		}
	}
}

// scripted is a sandbox that prints what it is told to.
type scripted struct {
	stdout, stderr string
	destroyed      *int
}

func (s scripted) Launch(context.Context, sandbox.Language) (sandbox.Sandbox, error) { return s, nil }
func (s scripted) ID() string                                                        { return "scripted" }
func (s scripted) Dead() <-chan struct{}                                             { return nil }

func (s scripted) Run(_ context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	if err := p.Validate(); err != nil {
		return sandbox.Result{}, err
	}
	out.Stdout([]byte(s.stdout))
	out.Stderr([]byte(s.stderr))
	return sandbox.Result{Status: sandbox.OK}, nil
}

func (s scripted) Destroy(context.Context) error {
	*s.destroyed++
	return nil
}

func TestAnAttemptLooksAfterPlantingAndDestroysBoth(t *testing.T) {
	all, err := load(catalogueOf(header + "verdict: stderr\n-- main.py --\n-- look.py --\n"))
	if err != nil {
		t.Fatal(err)
	}
	destroyed := 0
	seen, err := all[0].Attempt(t.Context(), scripted{"noise", "PLANTED\n", &destroyed}, sandbox.Language{}, "127.0.0.1:1")
	if err != nil || destroyed != 2 || seen.Verdict != "PLANTED" || seen.Before.Verdict != "PLANTED" {
		t.Errorf("got %+v, %v; %d sandboxes destroyed", seen, err, destroyed)
	}
	if _, _, err := all[0].JudgeControl(Seen{Outcome: Outcome{sandbox.OK, 0, "ESCAPED"}}); err == nil {
		t.Error("a control that planted nothing counts as live")
	}
}

func TestTheTableEscapesItsCells(t *testing.T) {
	got := Table([]string{"runc"}, []Row{{Attack: Attack{Name: "a", Language: "python", Tries: "This | that."}, Control: "ok", Columns: []string{"contained"}}})
	want := "| attack | language | what it tries | control | runc |\n|---|---|---|---|---|\n| a | python | This \\| that. | ok | contained |\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

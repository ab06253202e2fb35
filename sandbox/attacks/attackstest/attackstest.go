// Package attackstest carries the catalogue of attacks out on a driver, in a
// test.
//
// A driver's test describes the driver in a [Subject] and calls [Run]. That tries
// every attack in a control, where it must succeed, and in the sandboxes of each
// runtime, where it must be contained, and then looks at the host for what is
// left. Whatever is not so fails the test.
package attackstest

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/attacks"
)

const (
	// attackers is how many attacks are tried at once. Most of the time they wait:
	// for the engine, or because of their limits.
	attackers = 3

	// neighbourBound is how long a neighbour's run of a few milliseconds may
	// take while its neighbours attack. They share two processors at times.
	neighbourBound = 10 * time.Second
)

// Languages are those that the catalogue is written in.
var Languages = []string{"python", "node"}

// Subject is a driver under attack.
type Subject struct {
	Driver    sandbox.Driver
	Languages []sandbox.Language // one for each name in Languages
	Runtimes  []string           // to try; each is a column of the table

	// Weak launches a control: the sandbox that Driver would make, without the
	// protections that weak names; see attacks.Weaknesses. The control may last
	// until the test's end.
	Weak func(t *testing.T, lang sandbox.Language, weak []string) (sandbox.Sandbox, error)

	// Enter starts one more agent in a control that Weak made, to work in folder,
	// and returns the stream to it. Closing the stream ends the agent.
	Enter func(t *testing.T, s sandbox.Sandbox, lang sandbox.Language, folder string) (io.ReadWriteCloser, error)

	// Live counts the sandboxes that the engine has.
	Live func() int

	// Folders are where the host keeps what belongs to the sandbox of an id.
	Folders func(id string) []string

	// Fled reports whether a process of the host was a sandbox's and is so no
	// more, by its uid and what its cgroup file says.
	Fled func(uid int, cgroups string) bool

	// Table is the file to which the table is written, below Title, if all is as
	// it should be; empty writes none.
	Table, Title string
}

// Run tries the whole catalogue on the subject.
func Run(t *testing.T, subject Subject) {
	catalogue, err := attacks.Load()
	if err != nil {
		t.Fatal(err)
	}
	catalogue = slices.DeleteFunc(catalogue, func(a attacks.Attack) bool { return a.Arch != "" && a.Arch != runtime.GOARCH })
	b := &battle{Subject: subject, address: listen(t)}
	rows := make([]attacks.Row, len(catalogue))
	for i, a := range catalogue {
		rows[i] = attacks.Row{Attack: a, Columns: make([]string, len(b.Runtimes))}
	}
	b.time(t, "control", func(t *testing.T) { b.controls(t, rows) })
	for column, name := range b.Runtimes {
		b.time(t, name, func(t *testing.T) { b.sandboxes(t, rows, name, column) })
	}
	b.nothingIsLeft(t)
	b.table(t, rows)
}

// battle is what the parts of the test share.
type battle struct {
	Subject
	address string

	times []string // how long each part took

	live, absent, contained, neighbours atomic.Int32

	mu  sync.Mutex // guards ids
	ids []string   // of every container there was
}

// time runs a part of the test and notes how long it takes.
func (b *battle) time(t *testing.T, name string, part func(t *testing.T)) {
	start := time.Now()
	t.Run(name, part)
	b.times = append(b.times, fmt.Sprintf("%s %s", name, time.Since(start).Round(time.Second)))
}

// each calls try for every row that is wanted, for so many at once.
func each(t *testing.T, atOnce int, rows []attacks.Row, wanted func(attacks.Attack) bool, try func(t *testing.T, row *attacks.Row)) {
	next := make(chan *attacks.Row) // closed here when all are handed out
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for row := range next {
				t.Run(row.Attack.Name+"/"+row.Attack.Language, func(t *testing.T) { try(t, row) })
			}
		})
	}
	for i := range rows {
		if wanted(rows[i].Attack) {
			next <- &rows[i]
		}
	}
	close(next)
	workers.Wait()
}

func (b *battle) language(t *testing.T, name string) sandbox.Language {
	i := slices.IndexFunc(b.Languages, func(l sandbox.Language) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("the subject has no %s", name)
	}
	return b.Languages[i]
}

// controls tries every attack in a container that is weak where it counts.
func (b *battle) controls(t *testing.T, rows []attacks.Row) {
	try := func(t *testing.T, row *attacks.Row) {
		a := row.Attack
		row.Control = "NOT LIVE"
		seen, err := a.AttemptControl(t.Context(), told{&control{t: t, battle: b, weak: a.Weak}, b.note}, b.language(t, a.Language), b.address)
		if err != nil {
			t.Fatal(err)
		}
		o, absent, err := a.JudgeControl(seen)
		switch {
		case err != nil:
			t.Errorf("the attack does not succeed even where it could, so it proves nothing: %v; stderr: %.400s", err, seen.Stderr)
		case absent:
			b.absent.Add(1)
			row.Control = "this kernel lacks it"
		default:
			b.live.Add(1)
			row.Control = o.String()
		}
	}
	// One with the host's cgroups is tried alone: it mounts a hierarchy for a
	// moment, and crun, if it makes a container then, fails to find it.
	alone := func(a attacks.Attack) bool { return slices.Contains(a.Weak, "host-cgroups") }
	settled := hierarchies(t)
	each(t, 1, rows, alone, try)
	for end := time.Now().Add(patience); hierarchies(t) != settled && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	each(t, attackers, rows, func(a attacks.Attack) bool { return !alone(a) }, try)
}

// hierarchies are those of the host's cgroups.
func hierarchies(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sandboxes tries every attack in a sandbox, beside a neighbour, and fills one
// column of the table.
func (b *battle) sandboxes(t *testing.T, rows []attacks.Row, runtime string, column int) {
	stop := watchMemory(t)
	defer stop()
	all := func(attacks.Attack) bool { return true }
	each(t, attackers, rows, all, func(t *testing.T, row *attacks.Row) {
		a := row.Attack
		row.Columns[column] = "NOT CONTAINED"
		lang := b.language(t, a.Language)
		lang.Runtime = runtime
		started := make(chan struct{})
		start := sync.OnceFunc(func() { close(started) })
		var neighbour sync.WaitGroup
		neighbour.Go(func() { b.neighbour(t, lang, started) })
		seen, err := a.Attempt(t.Context(), told{b.Driver, func(s sandbox.Sandbox) { b.note(s); start() }}, lang, b.address)
		start()
		neighbour.Wait()
		if err != nil {
			t.Fatal(err)
		}
		o, err := a.Judge(runtime, seen)
		if err != nil {
			t.Errorf("the attack is not contained: %v; stderr: %.400s", err, seen.Stderr)
			return
		}
		b.contained.Add(1)
		row.Columns[column] = "contained: " + o.String()
	})
}

// neighbour is an ordinary run that begins when the attack does.
func (b *battle) neighbour(t *testing.T, lang sandbox.Language, start <-chan struct{}) {
	if err := attacks.Neighbour(t.Context(), told{b.Driver, b.note}, lang, start, neighbourBound); err != nil {
		t.Errorf("the neighbour: %v", err)
		return
	}
	b.neighbours.Add(1)
}

// note keeps the ids of the containers.
func (b *battle) note(s sandbox.Sandbox) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids = append(b.ids, s.ID())
}

// told is a launcher that tells of what it launched.
type told struct {
	attacks.Launcher
	launched func(sandbox.Sandbox)
}

func (l told) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	s, err := l.Launcher.Launch(ctx, lang)
	if err == nil {
		l.launched(s)
	}
	return s, err
}

// table prints the counts and, where it is to be written, the table.
func (b *battle) table(t *testing.T, rows []attacks.Row) {
	names := map[string]bool{}
	for _, r := range rows {
		names[r.Attack.Name] = true
	}
	wanted := len(rows) * len(b.Runtimes)
	counts := fmt.Sprintf("%d attacks, %d programs: %d controls live and %d that this kernel lacks, %d contained of %d in %s, %d neighbours answered, %d containers",
		len(names), len(rows), b.live.Load(), b.absent.Load(), b.contained.Load(), wanted, list(b.Runtimes), b.neighbours.Load(), len(b.ids))
	t.Logf("%s; %s", counts, strings.Join(b.times, ", "))
	if b.Table == "" {
		return
	}
	table := attacks.Table(b.Runtimes, rows)
	t.Logf("\n%s", table)
	complete := int(b.live.Load()+b.absent.Load()) == len(rows) && int(b.contained.Load()) == wanted
	if t.Failed() || !complete {
		return
	}
	text := "# " + b.Title + "\n\nWritten by `make attacks`. What each column means is in " +
		"[the catalogue](../sandbox/attacks/catalogue/README.md).\n\n" + counts + ".\n\n" + table
	if err := os.WriteFile(b.Table, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

// list is how people write a list: "a", "a and b", "a, b and c".
func list(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

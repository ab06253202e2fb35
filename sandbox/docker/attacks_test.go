package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/attacks"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

const (
	// attacksTable is where -update writes the table.
	attacksTable = "../../docs/attacks.md"

	// attackUIDs is where the uids of this test begin, away from those of the
	// machine's users.
	attackUIDs = 30_000

	// attackers is how many attacks are tried at once. Most of the time they wait:
	// for the Engine, or because of their limits.
	attackers = 3

	// neighbourBound is how long a neighbour's run of a few milliseconds may
	// take while its neighbours attack. They share two processors at times.
	neighbourBound = 10 * time.Second

	// memoryBound is what the Go runtime of the process that serves may hold
	// while attacks flood it, in bytes.
	memoryBound = 64 << 20
)

// TestAttacksAreContained carries out the catalogue, in the controls and in
// sandboxes of runc and, where the Engine has it, of gVisor. PREHEAT_TEST_RUNTIME
// names other runtimes, separated by commas.
func TestAttacksAreContained(t *testing.T) {
	catalogue, err := attacks.Load()
	if err != nil {
		t.Fatal(err)
	}
	catalogue = slices.DeleteFunc(catalogue, func(a attacks.Attack) bool { return a.Arch != "" && a.Arch != runtime.GOARCH })
	d, cli := newDriver(t)
	d.uids.Store(attackUIDs)
	b := &battle{driver: d, languages: map[string]sandbox.Language{}, address: listen(t)}
	for _, name := range []string{"python", "node"} {
		b.languages[name] = enginetest.Language(t, cli, name)
	}
	runtimes := testRuntimes(t, d)
	rows := make([]attacks.Row, len(catalogue))
	for i, a := range catalogue {
		rows[i] = attacks.Row{Attack: a, Columns: make([]string, len(runtimes))}
	}
	b.time(t, "control", func(t *testing.T) { b.controls(t, rows) })
	for column, name := range runtimes {
		b.time(t, name, func(t *testing.T) { b.sandboxes(t, rows, name, column) })
	}
	b.nothingIsLeft(t, cli)
	b.table(t, runtimes, rows)
}

func testRuntimes(t *testing.T, d *Driver) []string {
	if named := os.Getenv("PREHEAT_TEST_RUNTIME"); named != "" {
		return strings.Split(named, ",")
	}
	if err := findRunsc(t, d); err != nil {
		t.Logf("not tried in gVisor: %v", err)
		return []string{"runc"}
	}
	return []string{"runc", "runsc"}
}

// battle is what the parts of the test share.
type battle struct {
	driver    *Driver
	languages map[string]sandbox.Language
	address   string

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

// each calls try for every row, for so many at once as there are attackers.
func each(t *testing.T, rows []attacks.Row, try func(t *testing.T, row *attacks.Row)) {
	next := make(chan *attacks.Row) // closed here when all are handed out
	var workers sync.WaitGroup
	for range attackers {
		workers.Go(func() {
			for row := range next {
				t.Run(row.Attack.Name+"/"+row.Attack.Language, func(t *testing.T) { try(t, row) })
			}
		})
	}
	for i := range rows {
		next <- &rows[i]
	}
	close(next)
	workers.Wait()
}

// controls tries every attack in a container that is weak where it counts.
func (b *battle) controls(t *testing.T, rows []attacks.Row) {
	each(t, rows, func(t *testing.T, row *attacks.Row) {
		a := row.Attack
		row.Control = "NOT LIVE"
		seen, err := a.AttemptControl(t.Context(), told{&weakDriver{t: t, driver: b.driver, weak: a.Weak}, b.note}, b.languages[a.Language], b.address)
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
	})
}

// sandboxes tries every attack in a sandbox, beside a neighbour, and fills one
// column of the table.
func (b *battle) sandboxes(t *testing.T, rows []attacks.Row, runtime string, column int) {
	stop := watchMemory(t)
	defer stop()
	each(t, rows, func(t *testing.T, row *attacks.Row) {
		a := row.Attack
		row.Columns[column] = "NOT CONTAINED"
		lang := b.languages[a.Language]
		lang.Runtime = runtime
		started := make(chan struct{})
		start := sync.OnceFunc(func() { close(started) })
		var neighbour sync.WaitGroup
		neighbour.Go(func() { b.neighbour(t, lang, started) })
		seen, err := a.Attempt(t.Context(), told{b.driver, func(s sandbox.Sandbox) { b.note(s); start() }}, lang, b.address)
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
	if err := attacks.Neighbour(t.Context(), told{b.driver, b.note}, lang, start, neighbourBound); err != nil {
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

// watchMemory samples this process's memory until the function that it returns
// is called, which fails the test when there was ever more than memoryBound.
func watchMemory(t *testing.T) func() {
	var watcher sync.WaitGroup
	done := make(chan struct{})
	var peak uint64
	watcher.Go(func() {
		sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for tick := time.Tick(50 * time.Millisecond); ; {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64()-sample[1].Value.Uint64())
			select {
			case <-tick:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		watcher.Wait()
		t.Logf("the process held at most %d MiB", peak>>20)
		if peak > memoryBound {
			t.Errorf("want at most %d MiB", memoryBound>>20)
		}
	}
}

// listen echoes TCP and UDP at an address of the loopback until the test ends. A
// datagram comes back with the bit that makes a name server's answer of a question.
func listen(t *testing.T) string {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	servers.Go(func() {
		for c, err := tcp.Accept(); err == nil; c, err = tcp.Accept() {
			c.Close()
		}
	})
	servers.Go(func() {
		b := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			b[2] |= 0x80
			udp.WriteTo(b[:n], from)
		}
	})
	t.Cleanup(func() {
		tcp.Close()
		udp.Close()
		servers.Wait()
	})
	return tcp.Addr().String()
}

// nothingIsLeft looks on the host for processes, mounts, folders and containers.
func (b *battle) nothingIsLeft(t *testing.T, cli *client.Client) {
	if n := count(t, cli, b.driver.cfg.Instance); n != 0 {
		t.Errorf("%d containers are left", n)
	}
	info, err := cli.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range processes(t) {
		cgroups, _ := os.ReadFile(filepath.Join("/proc", pid, "cgroup"))
		status, _ := os.ReadFile(filepath.Join("/proc", pid, "status"))
		// Tests that run beside this one have containers with the same uids.
		fled := b.isOurs(string(status)) && !strings.Contains(string(cgroups), "docker")
		if b.mentions(string(cgroups)) || fled {
			command, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			t.Errorf("process %s is left: %q", pid, command)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || b.mentions(string(mounts)) {
		t.Errorf("a mount is left, or none can be seen: %v", err)
	}
	for _, id := range b.ids {
		folder := filepath.Join(info.DockerRootDir, "containers", id)
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the Engine's folder %s is left, or cannot be looked for: %v", folder, err)
		}
	}
}

func processes(t *testing.T) []string {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(all) == 0 {
		t.Fatalf("no processes can be seen: %v", err)
	}
	for i := range all {
		all[i] = filepath.Base(all[i])
	}
	return all
}

func (b *battle) mentions(text string) bool {
	return slices.ContainsFunc(b.ids, func(id string) bool { return strings.Contains(text, id) })
}

// isOurs reports whether a process's status has a uid of this test's sandboxes.
func (b *battle) isOurs(status string) bool {
	_, uids, _ := strings.Cut(status, "\nUid:\t")
	var uid int
	fmt.Sscan(uids, &uid)
	return uid > firstUID+attackUIDs && uid <= firstUID+int(b.driver.uids.Load())
}

// table prints the counts and, with -update, the table, which is then written too.
func (b *battle) table(t *testing.T, runtimes []string, rows []attacks.Row) {
	names := map[string]bool{}
	for _, r := range rows {
		names[r.Attack.Name] = true
	}
	counts := fmt.Sprintf("%d attacks, %d programs: %d controls live and %d that this kernel lacks, %d contained of %d in %s, %d neighbours answered, %d containers",
		len(names), len(rows), b.live.Load(), b.absent.Load(), b.contained.Load(), len(rows)*len(runtimes), strings.Join(runtimes, " and "), b.neighbours.Load(), len(b.ids))
	t.Logf("%s; %s", counts, strings.Join(b.times, ", "))
	if !*update {
		return
	}
	table := attacks.Table(runtimes, rows)
	t.Logf("\n%s", table)
	complete := int(b.live.Load()+b.absent.Load()) == len(rows) && int(b.contained.Load()) == len(rows)*len(runtimes)
	if t.Failed() || !complete {
		return
	}
	text := "# Attacks\n\nWritten by `make attacks`. What each column means is in " +
		"[the catalogue](../sandbox/attacks/catalogue/README.md).\n\n" + counts + ".\n\n" + table
	if err := os.WriteFile(attacksTable, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

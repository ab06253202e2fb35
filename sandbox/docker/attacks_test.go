//go:build attacks

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

	// neighbourBound is how long a neighbour's run of a few milliseconds may
	// take while its neighbours attack. They share two processors at times.
	neighbourBound = 10 * time.Second

	// memoryBound is what the Go runtime of the process that serves may hold
	// while attacks flood it, in bytes.
	memoryBound = 64 << 20
)

// TestAttacksAreContained carries out the catalogue, in the controls and in the
// sandboxes of every runtime that the Engine has of those that preheat supports;
// PREHEAT_TEST_RUNTIME names others, separated by commas.
func TestAttacksAreContained(t *testing.T) {
	began := time.Now()
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
	runtimes := testRuntimes(t, cli)
	rows := make([]attacks.Row, len(catalogue))
	for i, a := range catalogue {
		rows[i] = attacks.Row{Attack: a, Columns: make([]string, len(runtimes))}
	}
	t.Run("control", func(t *testing.T) { b.controls(t, rows) })
	for column, name := range runtimes {
		t.Run(name, func(t *testing.T) { b.sandboxes(t, rows, name, column) })
	}
	b.nothingIsLeft(t, cli)
	b.table(t, runtimes, rows, time.Since(began))
}

func testRuntimes(t *testing.T, cli *client.Client) []string {
	if named := os.Getenv("PREHEAT_TEST_RUNTIME"); named != "" {
		return strings.Split(named, ",")
	}
	info, err := cli.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc([]string{"runc", "runsc"}, func(name string) bool {
		_, ok := info.Runtimes[name]
		return !ok
	})
}

// battle is what the parts of the test share.
type battle struct {
	driver    *Driver
	languages map[string]sandbox.Language
	address   string

	live, absent, contained, within, neighbours atomic.Int32

	mu  sync.Mutex // guards ids
	ids []string   // of every container there was
}

// controls tries every attack in a container that is weak where it counts.
func (b *battle) controls(t *testing.T, rows []attacks.Row) {
	for i := range rows {
		row := &rows[i]
		a := row.Attack
		t.Run(a.Name+"/"+a.Language, func(t *testing.T) {
			t.Parallel()
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
}

// sandboxes tries every attack in a sandbox, beside a neighbour, and fills one
// column of the table.
func (b *battle) sandboxes(t *testing.T, rows []attacks.Row, runtime string, column int) {
	stop := watchMemory(t)
	t.Cleanup(stop)
	for i := range rows {
		row := &rows[i]
		row.Columns[column] = "NOT CONTAINED"
		a := row.Attack
		t.Run(a.Name+"/"+a.Language, func(t *testing.T) {
			t.Parallel()
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
			o, within, err := a.Judge(runtime, seen)
			switch {
			case err != nil:
				t.Errorf("the attack is not contained: %v; stderr: %.400s", err, seen.Stderr)
			case within:
				b.within.Add(1)
				row.Columns[column] = "within " + runtime + " only: " + o.String()
			default:
				b.contained.Add(1)
				row.Columns[column] = "contained: " + o.String()
			}
		})
	}
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

// table prints the table and the count, and writes both with -update.
func (b *battle) table(t *testing.T, runtimes []string, rows []attacks.Row, took time.Duration) {
	table := attacks.Table(runtimes, rows)
	t.Logf("\n%s\n%d attacks, %d controls live and %d that this kernel lacks, %d contained and %d within the runtime only of %d, %d neighbours answered, %d containers, %s",
		table, len(rows), b.live.Load(), b.absent.Load(), b.contained.Load(), b.within.Load(), len(rows)*len(runtimes), b.neighbours.Load(), len(b.ids), took.Round(time.Second))
	complete := int(b.live.Load()+b.absent.Load()) == len(rows) && int(b.contained.Load()+b.within.Load()) == len(rows)*len(runtimes)
	if !*update || t.Failed() || !complete {
		return
	}
	text := "# Attacks\n\nWritten by `make attacks`. What each column means is in " +
		"[the catalogue](../sandbox/attacks/catalogue/README.md).\n\n" + table
	if err := os.WriteFile(attacksTable, []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}

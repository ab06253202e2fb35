package attackstest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryBound is what the Go runtime of the process that serves may hold while
// attacks flood it, in bytes.
const memoryBound = 64 << 20

// patience bounds what the host does in its own time, such as that its first
// process buries the dead.
const patience = 20 * time.Second

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
	var config net.ListenConfig
	tcp, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := config.ListenPacket(t.Context(), "udp", tcp.Addr().String())
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

// nothingIsLeft looks on the host for containers, processes, mounts and folders.
func (b *battle) nothingIsLeft(t *testing.T) {
	if n := b.Live(); n != 0 {
		t.Errorf("%d containers are left", n)
	}
	left := b.processes(t)
	for end := time.Now().Add(patience); len(left) > 0 && time.Now().Before(end); left = b.processes(t) {
		time.Sleep(50 * time.Millisecond)
	}
	if len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	// A thread may have mounts of its own.
	threads, err := filepath.Glob("/proc/self/task/*/mountinfo")
	if err != nil || len(threads) == 0 {
		t.Fatalf("no mounts can be seen: %v", err)
	}
	for _, file := range threads {
		mounts, _ := os.ReadFile(file)
		for line := range strings.Lines(string(mounts)) {
			if b.mentions(line) {
				t.Errorf("a mount is left: %s", line)
			}
		}
	}
	for _, id := range b.ids {
		for _, folder := range b.Folders(id) {
			if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder %s is left, or cannot be looked for: %v", folder, err)
			}
		}
	}
}

// processes are those of the host that are, or were, a sandbox's.
func (b *battle) processes(t *testing.T) (found []string) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(all) == 0 {
		t.Fatalf("no processes can be seen: %v", err)
	}
	for _, folder := range all {
		cgroups, _ := os.ReadFile(filepath.Join(folder, "cgroup"))
		status, _ := os.ReadFile(filepath.Join(folder, "status"))
		if b.mentions(string(cgroups)) || b.Fled(uid(string(status)), string(cgroups)) {
			name, _, _ := strings.Cut(string(status), "\n")
			found = append(found, filepath.Base(folder)+" "+name)
		}
	}
	return found
}

func (b *battle) mentions(text string) bool {
	return slices.ContainsFunc(b.ids, func(id string) bool { return strings.Contains(text, id) })
}

// uid is the real one in a process's status, or 0.
func uid(status string) (uid int) {
	_, uids, _ := strings.Cut(status, "\nUid:\t")
	fmt.Sscan(uids, &uid)
	return uid
}

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAReloadReadsTheFileAndKeepsTheCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "preheat.yaml")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	defaultOptions().register(flags)
	flags.String("config", file, "")
	given := []string{
		"--queue", "7", "--memory", "1.5g", "--pool", "python=3,node=0", "--languages", "python,node",
		"--allowed-hosts", "[::1]:80,example.com", "--runtime", "runsc,node=runc", "--timeout", "1m30s",
	}
	if err := flags.Parse(given); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file    string
		queue   int
		restart string // settings that need one
		err     string
	}{
		{"", 7, "", ""},
		{"queue: 9\nlog-level: debug", 7, "", ""},
		{"max-code: 7\ngrace: 1s\nmemory: 64m\npool: {python: 1}", 7, "grace max-code", ""},
		{"queue: 9\nadr: x", 0, "", `:2: there is no setting "adr"`},
		{"log-level: loud", 0, "", "--log-level"},
		{"[", 0, "", "it is not YAML"},
	} {
		writeFile(t, file, tt.file)
		o, fresh, err := reread(flags)
		switch {
		case err != nil || tt.err != "":
			if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: got %v, want %q", tt.file, err, tt.err)
			}
		default:
			got := changed(flags, fresh)
			slices.Sort(got)
			if strings.Join(got, " ") != tt.restart || o.queue != tt.queue || o.pool["python"] != 3 || len(o.allowedHosts) != 2 {
				t.Errorf("%q: %v need a restart, and %+v", tt.file, got, o)
			}
		}
	}
}

// hup sends SIGHUP and waits until systemd has been told of the reload's end.
func (s *server) hup(t *testing.T, told <-chan string) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`^RELOADING=1\nMONOTONIC_USEC=\d+$`, `^READY=1$`} {
		hear(t, told, want)
	}
}

func hear(t *testing.T, told <-chan string, want string) {
	t.Helper()
	select {
	case got := <-told:
		if !regexp.MustCompile(want).MatchString(got) {
			t.Fatalf("systemd was told %q, want %s", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("systemd was not told %s", want)
	}
}

func TestNoRunIsLostWhileReloadsResizeThePool(t *testing.T) {
	socket, told := listenAsSystemd(t)
	t.Setenv("NOTIFY_SOCKET", socket)
	file := filepath.Join(t.TempDir(), "preheat.yaml")
	writeFile(t, file, "pool: {python: 2}")
	s := startServer(t, "test-reload", "--languages", "python,bash", "--config", file, "--queue-timeout", "1m")
	hear(t, told, "^READY=1$")

	stop := make(chan struct{})
	var clients sync.WaitGroup
	var answered atomic.Int32
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				want := fmt.Sprintf("run %d of client %d\n", n, i)
				if a := s.post(t, python(fmt.Sprintf("print(%q, end='')", want))); a.http != http.StatusOK || a.Stdout != want {
					t.Errorf("a run that should print %q was answered %d %s", want, a.http, a.body)
				}
				answered.Add(1)
			}
		})
	}
	for i := range 10 {
		size := []int{1, 4, 2, 0, 3}[i%5]
		level := "debug"
		if i == 9 {
			level = "error"
		}
		writeFile(t, file, fmt.Sprintf("pool: {python: %d, bash: %d}\nmax-sandboxes: %d\nqueue: %d\nlog-level: %s\nmax-code: 5001",
			size, i%2, 20+i, 8+i, level))
		s.hup(t, told)
		if got := s.get(t, "/pool"); !strings.Contains(got, fmt.Sprintf(`"size":%d`, size)) || !strings.Contains(got, fmt.Sprintf(`"max_live":%d`, 20+i)) {
			t.Errorf("after a reload for %d sandboxes of %d, the pool is %s", size, 20+i, got)
		}
		before := answered.Load()
		eventually(t, "runs go on", func() bool { return answered.Load() >= before+3 })
	}
	close(stop)
	clients.Wait()
	writeFile(t, file, "pool: {python: 1}\nadr: x")
	s.hup(t, told)
	eventually(t, "a broken file leaves the pool as it was", func() bool {
		return strings.Contains(s.get(t, "/pool"), `"size":3,"warm":3,"leased":0,"launching":0,"destroying":0`)
	})
	s.terminate()
	hear(t, told, "^STOPPING=1$")
	s.stop(t)
	log := s.log.String() // the tenth reload's level hides what is no error
	for text, want := range map[string]int{
		"msg=reloaded": 9, "there is no setting": 1, "need a restart\" settings=max-code": 9,
	} {
		if got := strings.Count(log, text); got != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", text, got, want, log)
		}
	}
}

func TestReadinessEndsBeforeConnectionsAreRefused(t *testing.T) {
	s := startServer(t, "test-drain", "--languages", "bash", "--pool", "bash=2", "--drain-delay", "2s")
	s.terminate()
	eventually(t, "/readyz says draining", func() bool { return strings.Contains(s.get(t, "/readyz"), `"draining"`) })
	if a := s.post(t, `{"language":"bash","code":"echo taken"}`); a.Stdout != "taken\n" {
		t.Errorf("a run meanwhile is answered %d %s", a.http, a.body)
	}
	eventually(t, "connections are refused", func() bool {
		resp, err := http.Get(s.url + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	s.stop(t)
}

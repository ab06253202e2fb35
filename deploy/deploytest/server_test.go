package deploytest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// server is a running `preheat serve` that wants a key.
type server struct {
	address string
	key     string
	keyFile string
}

// startServer builds preheat from this tree and serves with pools so small that
// requests wait and are refused.
func startServer(t *testing.T) server {
	t.Helper()
	cli := enginetest.Client(t)
	const instance = "test-deploy"
	t.Cleanup(func() {
		if left := enginetest.Containers(t, cli, instance); len(left) > 0 {
			t.Errorf("the server left %v", left)
		}
	})
	folder := t.TempDir()
	preheat := filepath.Join(folder, "preheat")
	run(t, exec.Command("go", "build", "-buildvcs=false", "-o", preheat, "../../cmd/preheat"))
	s := server{keyFile: filepath.Join(folder, "key")}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(preheat, args...)
		cmd.Env = append(os.Environ(), "PREHEAT_DATA="+filepath.Join(folder, "data"), "PREHEAT_CONFIG=")
		return cmd
	}
	key, err := command("keys", "add", "tester").Output()
	if err == nil {
		s.key = strings.TrimSpace(string(key))
		err = os.WriteFile(s.keyFile, []byte(s.key), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, s.address = start(t, command("serve", "--addr", "127.0.0.1:0", "--instance", instance,
		"--languages", "python,node", "--pool", "python=2,node=1", "--queue", "1"), regexp.MustCompile(`msg=serving url=http://(\S+)`))
	return s
}

// ask sends a request with a key and returns the answer.
func (s server) ask(ctx context.Context, method, path, key, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	req.Close = true // leaves no goroutine
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// load keeps a server busy until the test ends: with programs that end in every
// way, with bursts that its queue does not take, and with a wrong key.
func load(t *testing.T, s server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var clients sync.WaitGroup
	t.Cleanup(func() { cancel(); clients.Wait() })
	program := func(language, code string) string {
		body, _ := json.Marshal(map[string]any{"language": language, "code": code, "timeout_ms": 2000})
		return string(body)
	}
	bodies := []string{
		program("python", "print(sum(i * i for i in range(100_000)))"),
		program("node", "console.log(2 + 2)"),
		program("python", "raise SystemExit(3)"),
		program("python", "b = []\nwhile True: b.append(bytearray(1 << 22))"),
		program("node", "process.exit(1)"),
		strings.Replace(program("python", "while True: pass"), "2000", "100", 1),
		program("python", "while True: print('x' * 100_000)"),
	}
	for client := range 6 {
		clients.Go(func() {
			for i := client; ctx.Err() == nil; i++ {
				key := s.key
				if i%10 == 9 {
					key = "wrong"
				}
				code, answer, err := s.ask(ctx, http.MethodPost, "/run", key, bodies[i%len(bodies)])
				if ctx.Err() == nil && (err != nil || code == http.StatusInternalServerError) {
					t.Errorf("%d %s %v", code, answer, err)
				}
				rest(ctx, time.Duration(i%8)*300*time.Millisecond) // bursts follow
			}
		})
	}
}

// rest waits, or returns when ctx ends.
func rest(ctx context.Context, pause time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

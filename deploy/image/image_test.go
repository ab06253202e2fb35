// Package image has no code: its test makes the server's image and runs it.
package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/preheat/preheat/sandbox/docker/enginetest"
)

// patience bounds what should happen soon, on a busy machine.
const patience = 2 * time.Minute

const (
	composeFile = "../compose.yml"
	socket      = "/var/run/docker.sock"
)

// docker runs the command line and returns what it prints to standard output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, "docker", args...)
	if err != nil {
		t.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func command(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// makeImage makes the image as `make server-image` does, under a name of the
// test's own.
func makeImage(t *testing.T, name string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "preheat")
	for _, cmd := range [][]string{
		{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "../../cmd/preheat"},
		{"./import.sh", binary, name},
	} {
		if _, err := command(t, cmd[0], cmd[1:]...); err != nil {
			t.Fatalf("%s: %v", cmd[0], err)
		}
	}
	t.Cleanup(func() { docker(t, "rmi", name) })
}

// service is what the test uses of one in compose.yml.
type service struct {
	Image       string
	Command     []string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	NetworkMode string   `yaml:"network_mode"`
	Environment map[string]string
	Volumes     []string
}

var composeVariable = regexp.MustCompile(`\$\{(\w+)[^}]*\}`)

func readCompose(t *testing.T, variables map[string]string) map[string]service {
	t.Helper()
	text, err := os.ReadFile(composeFile)
	if err != nil {
		t.Fatal(err)
	}
	var compose struct{ Services map[string]service }
	text = composeVariable.ReplaceAllFunc(text, func(found []byte) []byte {
		return []byte(variables[string(composeVariable.FindSubmatch(found)[1])])
	})
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	return compose.Services
}

// args are those of `docker run`, up to the image; volumes of compose get prefix.
func (s service) args(prefix string) []string {
	args := []string{"--user", s.User}
	if s.ReadOnly {
		args = append(args, "--read-only")
	}
	if s.NetworkMode != "" {
		args = append(args, "--network", s.NetworkMode)
	}
	for _, name := range s.CapDrop {
		args = append(args, "--cap-drop", name)
	}
	for _, option := range s.SecurityOpt {
		args = append(args, "--security-opt", option)
	}
	for name, value := range s.Environment {
		args = append(args, "--env", name+"="+value)
	}
	for _, volume := range s.Volumes {
		if !strings.HasPrefix(volume, "/") {
			volume = prefix + volume
		}
		args = append(args, "--volume", volume)
	}
	return append(args, s.Image)
}

func TestTheServerRunsInAContainer(t *testing.T) {
	cli := enginetest.Client(t)
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	gid := fmt.Sprint(info.Sys().(*syscall.Stat_t).Gid)
	prefix := fmt.Sprintf("preheat-test-%d-", os.Getpid())
	image := prefix + "server:latest"
	makeImage(t, image)
	t.Cleanup(func() { docker(t, "volume", "rm", "-f", prefix+"data", prefix+"socket", prefix+"direct") })

	compose := readCompose(t, map[string]string{"PREHEAT_IMAGE": image, "DOCKER_GID": gid})
	small := []string{"--languages", "python,bash", "--pool", "python=1,bash=1"}

	t.Run("through the proxy, as in compose.yml", func(t *testing.T) {
		proxy, server := compose["socket-proxy"], compose["preheat"]
		name := prefix + "proxy"
		docker(t, slices.Concat([]string{"run", "-d", "--name", name}, proxy.args(prefix), proxy.Command)...)
		t.Cleanup(func() { docker(t, "rm", "-f", name) })
		if slices.ContainsFunc(server.Volumes, func(v string) bool { return strings.HasPrefix(v, socket) }) {
			t.Error("the server has the engine's socket")
		}
		runs(t, prefix+"behind", server.args(prefix), append(server.Command, small...))
		if log, _ := command(t, "sh", "-c", "docker logs "+name+" 2>&1"); strings.Contains(log, "refused") {
			t.Errorf("the proxy refused calls:\n%s", log)
		}
		if left := enginetest.Containers(t, cli, "compose"); len(left) > 0 {
			t.Errorf("the server left %v", left)
		}
	})
	t.Run("with the engine's socket", func(t *testing.T) {
		args := []string{"--read-only", "--group-add", gid, "--volume", socket + ":" + socket, "--volume", prefix + "direct:/var/lib/preheat", image}
		instance := prefix + "direct"
		runs(t, instance, args, append([]string{"serve", "--instance", instance}, small...))
		if left := enginetest.Containers(t, cli, instance); len(left) > 0 {
			t.Errorf("the server left %v", left)
		}
	})
}

// freeAddress is one of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// runs starts a server in a container, with a key, lets it run a program and
// stops it. The network is the host's: not every Engine that is tested with has
// a bridge.
func runs(t *testing.T, name string, args, serve []string) {
	t.Helper()
	addr := freeAddress(t)
	args = append([]string{"--network", "host", "--env", "PREHEAT_ADDR=" + addr}, args...)
	key := docker(t, slices.Concat([]string{"run", "--rm"}, args, []string{"keys", "add", "test"})...)
	docker(t, slices.Concat([]string{"run", "-d", "--name", name}, args, serve)...)
	t.Cleanup(func() { docker(t, "rm", "-f", name) })
	log := func() string {
		out, _ := command(t, "sh", "-c", "docker logs "+name+" 2>&1")
		return out
	}
	for start := time.Now(); docker(t, "inspect", "-f", "{{.State.Health.Status}}", name) != "healthy"; time.Sleep(time.Second) {
		if time.Since(start) > patience {
			t.Fatalf("the server is not healthy:\n%s", log())
		}
	}
	url := "http://" + addr + "/run"
	for _, test := range []struct {
		key  string
		http int
		want string
	}{{"", 401, `"unauthorized"`}, {key, 200, `"stdout":"4\n"`}} {
		if code, body := post(t, url, test.key, `{"code":"print(2 + 2)"}`); code != test.http || !strings.Contains(body, test.want) {
			t.Errorf("got %d %s, want %d", code, body, test.http)
		}
	}
	docker(t, "stop", "-t", "90", name)
	if code := docker(t, "inspect", "-f", "{{.State.ExitCode}}", name); code != "0" || !strings.Contains(log(), "stopped") {
		t.Errorf("the server ended with %s:\n%s", code, log())
	}
}

func post(t *testing.T, url, key, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestOnlyTheProxyOfComposeHasTheEnginesSocket(t *testing.T) {
	for name, s := range readCompose(t, nil) {
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if source == socket && (name != "socket-proxy" || s.NetworkMode != "none") {
				t.Errorf("%s has the engine's socket, on the network %q", name, s.NetworkMode)
			}
			if strings.HasPrefix(source, ".") {
				if _, err := os.Stat(filepath.Join(filepath.Dir(composeFile), source)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

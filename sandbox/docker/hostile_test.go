package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/profile"
)

// hostileAgent stands in the agent's place and does what its argument, Python
// source, says. It knows the frames and how to read a whole program.
const hostileAgent = `#!/usr/bin/env python3
import json, os, struct, sys, time

def frame(kind, payload=b''):
    return struct.pack('>BI', kind, len(payload)) + payload

def say(b):
    while b:
        b = b[os.write(1, b):]

def flood(b, fd=1):
    b *= 1 + 65536 // len(b)
    while True:
        os.write(fd, b)

def file(name, content):
    return frame(2, struct.pack('>H', len(name)) + name + content)

def program():
    "reads until STDIN_EOF"
    global OK
    source = os.fdopen(0, 'rb', closefd=False)
    while True:
        kind, size = struct.unpack('>BI', source.read(5))
        words = source.read(size)
        if kind == 1:
            OK = frame(RESULT, json.dumps({'token': json.loads(words)['token']}).encode())
        if kind == 4:
            return

READY, OUT, ERR, RESULT = frame(0x81, b'\x02'), 0x82, 0x83, 0x84
OK = frame(RESULT, b'{"exit_code":0}')
exec(sys.argv[1])
`

// hostileLanguage returns a language whose image has hostileAgent as its agent.
func hostileLanguage(t *testing.T, cli *client.Client) sandbox.Language {
	t.Helper()
	lang := enginetest.Language(t, cli, "python")
	created, err := cli.ContainerCreate(t.Context(), &container.Config{Image: lang.Image, Cmd: lang.Command}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer cli.ContainerRemove(context.WithoutCancel(t.Context()), created.ID, container.RemoveOptions{Force: true})
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(profile.AgentPath, "/"), Mode: 0o755, Size: int64(len(hostileAgent))}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte(hostileAgent))
	w.Close()
	if err := cli.CopyToContainer(t.Context(), created.ID, "/", &layer, container.CopyToContainerOptions{}); err != nil {
		t.Fatal(err)
	}
	made, err := cli.ContainerCommit(t.Context(), created.ID, container.CommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := cli.ImageRemove(context.Background(), made.ID, image.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	lang.Image, lang.Env = made.ID, nil
	return lang
}

// TestAHostileAgentIsHeldByTheHost gives the other end of a real stream to an
// agent that does not keep the protocol. There is one answer, in time and
// within memory, and the sandbox can be removed.
func TestAHostileAgentIsHeldByTheHost(t *testing.T) {
	d, cli := newDriver(t)
	lang := hostileLanguage(t, cli)
	const timeout = time.Second
	broken := []sandbox.Status{sandbox.Error}
	for _, test := range []struct {
		name, source string
		want         []sandbox.Status
	}{
		{"answers as it should", "program(); say(frame(OUT, b'hi') + OK)", []sandbox.Status{sandbox.OK}},
		{"answers twice", "program(); say(OK + frame(RESULT, b'{\"exit_code\":1}')); time.sleep(60)", []sandbox.Status{sandbox.OK}},
		{"answers, and floods", "program(); say(OK); flood(OK)", []sandbox.Status{sandbox.OK}},
		{"floods with long frames", "program(); flood(frame(OUT, bytes(65536)))", broken},
		{"floods with tiny frames", "program(); flood(frame(ERR, b'x'))", broken},
		{"floods with empty frames", "program(); flood(frame(OUT))", broken},
		{"floods its standard error", "program(); flood(b'x', 2)", broken},
		{"floods with noise", "program(); flood(os.urandom(65536))", broken},
		{"claims a huge length", "program(); say(struct.pack('>BI', OUT, 0xffffffff)); time.sleep(60)", broken},
		{"answers without the token", "program(); say(frame(RESULT, b'{\"exit_code\":0}')); time.sleep(60)", broken},
		{"answers with another token", "program(); say(frame(RESULT, b'{\"token\":\"AAAAAAAAAAAAAAAAAAAAAAAAAA\"}')); time.sleep(60)", broken},
		{"sends the files asked for", "program(); say(file(b'a.txt', bytes(50)) + file(b'b.txt', bytes(50)) + OK)", []sandbox.Status{sandbox.OK}},
		{"sends too many files", "program(); say(file(b'a.txt', b'') + file(b'b.txt', b'') + file(b'c.txt', b'') + OK); time.sleep(60)", broken},
		{"sends too many bytes", "program(); say(file(b'a.txt', bytes(101)) + OK); time.sleep(60)", broken},
		{"sends what nobody asked for", "program(); say(file(b'a.png', b'x') + OK); time.sleep(60)", broken},
		{"sends a file that comes back", "program(); say(file(b'a.txt', b'x') + file(b'b.txt', b'x') + file(b'a.txt', b'x') + OK); time.sleep(60)", broken},
		{"sends a file after its answer", "program(); say(OK + file(b'a.txt', b'x')); time.sleep(60)", []sandbox.Status{sandbox.OK}},
		{"floods with a file", "program(); flood(file(b'a.txt', b'x'))", broken},
		{"floods with parts of nothing", "program(); flood(file(b'a.txt', b''))", broken},
		{"claims a file with an evil name", "program(); say(frame(2, b'\\0\\x10../../etc/passwd')); time.sleep(60)", broken},
		{"is ready again", "program(); say(READY); time.sleep(60)", broken},
		{"answers in words", "program(); say(frame(RESULT, b'{\"status\":\"ok\"}')); time.sleep(60)", broken},
		{"closes its end and lives on", "program(); os.close(1); os.close(2); time.sleep(60)", []sandbox.Status{sandbox.Error, sandbox.Timeout}},
		{"closes its output only", "program(); os.close(1); time.sleep(60)", []sandbox.Status{sandbox.Error, sandbox.Timeout}},
		{"ends", "program()", broken},
		{"reads nothing", "time.sleep(60)", []sandbox.Status{sandbox.Timeout}},
		{"never ends a frame", "program(); say(struct.pack('>BI', OUT, 60000))\nwhile True: say(b'x'); time.sleep(0.05)", []sandbox.Status{sandbox.Timeout}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lang := lang
			lang.Command = []string{"say(READY); " + test.source}
			s := launch(t, d, lang)
			p := program(lang, "")
			p.Stdin, p.Timeout = make([]byte, 1<<20), timeout
			p.Collect = sandbox.Collect{Patterns: []string{"*.txt"}, MaxFiles: 2, MaxBytes: 100}
			var out sandbox.Capture
			before := allocated()
			start := time.Now()
			res, err := s.Run(t.Context(), p, &out)
			took := time.Since(start)
			grown := allocated() - before
			if stdout, stderr := out.Strings(); err != nil || !slices.Contains(test.want, res.Status) || len(stdout)+len(stderr) > 2*p.OutputBytes {
				t.Errorf("got %+v, %v, and %d bytes of output; want %v", res, err, len(stdout)+len(stderr), test.want)
			}
			if took > timeout+verdict+time.Second {
				t.Errorf("it took %s", took)
			}
			if grown > 8<<20 { // the MiB of input is written out in a buffer that doubles
				t.Errorf("the host allocated %d bytes", grown)
			}
			if _, err := s.Run(t.Context(), p, &out); !errors.Is(err, sandbox.ErrUsed) {
				t.Errorf("a second run: %v", err)
			}
			t.Logf("%s, exit code %d, in %s, %d KiB allocated", res.Status, res.ExitCode, took.Round(time.Millisecond), grown>>10)
		})
	}
}

func TestEverySandboxHasATokenOfItsOwn(t *testing.T) {
	d, cli := newDriver(t)
	lang := hostileLanguage(t, cli)
	lang.Command = []string{"say(READY); program(); say(frame(OUT, OK[5:])); say(OK)"}
	seen := map[string]bool{}
	for range 2 {
		var out sandbox.Capture
		if _, err := launch(t, d, lang).Run(t.Context(), program(lang, ""), &out); err != nil {
			t.Fatal(err)
		}
		report, _ := out.Strings()
		seen[report] = true
	}
	if len(seen) != 2 || seen[`{"token": ""}`] {
		t.Errorf("the reports were %v", seen)
	}
}

func TestAHostileAgentIsNeverHandedOut(t *testing.T) {
	d, cli := newDriver(t)
	lang := hostileLanguage(t, cli)
	for name, source := range map[string]string{
		"a result before READY": "say(OK); time.sleep(60)",
		"a flood before READY":  "flood(frame(OUT, bytes(65536)))",
		"noise on both streams": "os.write(2, b'oh\\n'); flood(b'noise')",
		"a flood of errors":     "flood(b'x', 2)",
	} {
		t.Run("launch: "+name, func(t *testing.T) {
			lang := lang
			lang.Command = []string{source}
			if s, err := d.Launch(t.Context(), lang); err == nil {
				t.Error("the launch succeeded")
				s.Destroy(t.Context())
			}
		})
	}
	for name, source := range map[string]string{
		"READY twice":             "say(READY + READY); time.sleep(60)",
		"a result before its run": "say(READY + OK); time.sleep(60)",
		"output before its run":   "say(READY); flood(frame(OUT, b'x'))",
		"errors while idle":       "say(READY); flood(b'x', 2)",
	} {
		t.Run("idle: "+name, func(t *testing.T) {
			lang := lang
			lang.Command = []string{source}
			s := launch(t, d, lang)
			select {
			case <-s.Dead():
			case <-time.After(20 * time.Second):
				t.Fatal("it counts as warm")
			}
			if _, err := s.Run(t.Context(), program(lang, ""), new(sandbox.Capture)); !errors.Is(err, sandbox.ErrDead) {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// allocated returns the bytes allocated so far, freed or not.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

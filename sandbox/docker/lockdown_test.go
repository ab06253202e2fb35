package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/profile"
)

// fact is an expression, evaluated in a sandbox, and its value as JSON.
type fact struct{ what, expression, want string }

const lockedDown = `{"CapAmb":"0000000000000000","CapBnd":"0000000000000000","CapEff":"0000000000000000",` +
	`"CapInh":"0000000000000000","CapPrm":"0000000000000000","NoNewPrivs":"1","Seccomp":"2"}`

// pythonFacts use the functions of pythonProlog.
var pythonFacts = []fact{
	{"privileges of the interpreter", `status("/proc/self/status")`, lockedDown},
	{"privileges of its children", `status("/proc/self/status", cat)`, lockedDown},
	{"privileges of the agent", `status("/proc/1/status")`, lockedDown},
	{"ids are one, and no root's", `len({*os.getresuid(), *os.getresgid(), *os.getgroups()}) == 1 and os.getuid() > 0`, `true`},
	{"what can be written", `sorted(p for p in walk("/", "/proc") if os.access(p, os.W_OK) and not os.path.islink(p))`,
		`["/dev/full","/dev/null","/dev/random","/dev/shm","/dev/tty","/dev/urandom","/dev/zero","/work","/work/main.py"]`},
	{"what can be written in /proc/sys", `[p for p in walk("/proc/sys") if os.access(p, os.W_OK)]`, `[]`},
	{"what can be written beside processes in /proc", `[p for p in glob("/proc/[a-z]*") if os.access(p, os.W_OK) and not is_null(p)
		and not os.path.realpath(p).startswith(f"/proc/{os.getpid()}") and not is_empty_mount(p)]`, `[]`},
	{"attempts to write", `[attempt(open, p, "w") for p in ("/x", "/app/x", "/dev/x", "/sys/x", "/dev/mqueue/x", "/dev/ptmx", "/tmp/x",
		"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname")]`,
		`["EROFS","EROFS","EACCES","EROFS","EROFS","EROFS","EROFS","EROFS","EROFS"]`},
	{"masked paths", `[p for p in masked if os.path.exists(p) and not is_null(p) and not is_empty_mount(p)]`, `[]`},
	{"mounts that change a file", `{m: o for m, o in mounts().items() if m in ("/", "/work", "/dev/shm", "/sys")}`,
		`{"/":["nodev?","noexec?","nosuid?","ro"],"/dev/shm":["nodev","noexec","nosuid","rw"],` +
			`"/sys":["nodev","noexec","nosuid","ro"],"/work":["nodev","noexec?","nosuid","rw"]}`},
	{"mounts of control groups", `[m for m, o in mounts().items() if m.startswith("/sys/fs/cgroup") and "ro" not in o and os.access(m, os.W_OK)]`, `[]`},
	{"devices", `{p: f"{os.major(os.stat(p).st_rdev)}:{os.minor(os.stat(p).st_rdev)}" for p in walk("/dev") if not stat.S_ISDIR(os.lstat(p).st_mode)
		and not stat.S_ISLNK(os.lstat(p).st_mode)}`,
		`{"/dev/full":"1:7","/dev/null":"1:3","/dev/random":"1:8","/dev/tty":"5:0","/dev/urandom":"1:9","/dev/zero":"1:5"}`},
	{"links in /dev", `sorted(os.readlink(p) for p in walk("/dev") if os.path.islink(p) and not p.startswith("/dev/core"))`,
		`["/proc/self/fd","/proc/self/fd/0","/proc/self/fd/1","/proc/self/fd/2","pts/ptmx"]`},
	{"bounds of the work folder", `[(v := os.statvfs("/work")).f_blocks * v.f_frsize, v.f_files]`, `[67108864,4096]`},
	{"bounds of /dev/shm", `[(v := os.statvfs("/dev/shm")).f_blocks * v.f_frsize, v.f_files]`, `[16777216,1024]`},
	{"empty files that fit into /dev/shm", `fill_with_files("/dev/shm")`, `[1023,"ENOSPC"]`},
	{"bytes that fit into /dev/shm", `fill("/dev/shm/x")`, `[16777216,"ENOSPC"]`},
	{"limits", `[resource.getrlimit(n) for n in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)]`,
		`[[0,0],[67108864,67108864],[256,256]]`},
	{"host name", `[os.uname().nodename, open("/etc/hostname").read()]`, `["sandbox","sandbox\n"]`},
	{"processes", `[open(p).read().strip() for p in sorted(glob("/proc/[0-9]*/comm"))]`, `["preheat-agent","python3"]`},
	{"interfaces", `[line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]`, `["lo"]`},
	{"setuid files", `[p for p in walk("/", "/proc") if os.lstat(p).st_mode & 0o6000]`, `[]`},
	{"files with capabilities", `[p for p in walk("/", "/proc", "/sys", "/dev") if "security.capability" in os.listxattr(p, follow_symlinks=False)]`, `[]`},
	{"raised limits", `attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (512, 512))`, `"ValueError"`},
	{"a System V segment", `attempt_call("shmget", 0, 4096, 0o1600)`, `"EPERM"`},
	{"a message queue", `attempt_call("mq_open", b"/q", 0o102, 0o600, None)`, `"EPERM"`},
}

const pythonProlog = `import ctypes, errno, json, os, resource, stat, subprocess
from glob import glob

masked = json.loads('%s')

def cat(path):
    return subprocess.check_output(["cat", path], text=True)

def read(path):
    return open(path).read()

def status(path, read=read):
    pairs = (line.split(":\t") for line in read(path).splitlines())
    return {p[0]: p[1].strip() for p in pairs if p[0].startswith("Cap") or p[0] in ("NoNewPrivs", "Seccomp")}

def walk(top, *without):
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if os.path.join(folder, f) not in without]
        yield from (os.path.join(folder, name) for name in folders + files)

def mounts():
    found = {}
    for line in open("/proc/self/mounts"):
        _, path, _, options = line.split()[:4]
        options = set(options.split(","))
        found[path] = sorted(o if o in options else o + "?" for o in ("nodev", "nosuid", "noexec")) + sorted(options & {"ro", "rw"})
    return found

def is_null(path):
    s = os.stat(path)
    return stat.S_ISCHR(s.st_mode) and s.st_rdev == os.makedev(1, 3)

def is_empty_mount(path):
    return os.path.isdir(path) and os.listdir(path) == [] and bool(os.statvfs(path).f_flag & os.ST_RDONLY)

def attempt(function, *args):
    try:
        return repr(function(*args))
    except OSError as e:
        return errno.errorcode[e.errno]
    except Exception as e:
        return type(e).__name__

def attempt_call(name, *args):
    library = ctypes.CDLL(None, use_errno=True)
    return "done" if getattr(library, name)(*args) != -1 else errno.errorcode[ctypes.get_errno()]

def fill_with_files(folder):
    made = []
    try:
        while True:
            name = f"{folder}/{len(made)}"
            open(name, "x").close()
            made.append(name)
    except OSError as e:
        for name in made:
            os.remove(name)
        return len(made), errno.errorcode[e.errno]

def fill(name):
    size = 0
    try:
        with open(name, "wb", buffering=0) as f:
            while True:
                size += f.write(bytes(1 << 16))
    except OSError as e:
        os.remove(name)
        return size, errno.errorcode[e.errno]

def show(f):
    try:
        print(json.dumps(f(), sort_keys=True, separators=(",", ":")))
    except Exception as e:
        print(json.dumps(repr(e)))

`

var nodeFacts = []fact{
	{"privileges of the interpreter", `status(fs.readFileSync('/proc/self/status', 'utf8'))`, lockedDown},
	{"privileges of its threads", `status(fs.readFileSync('/proc/self/task/' + fs.readdirSync('/proc/self/task').at(-1) + '/status', 'utf8'))`, lockedDown},
	{"privileges of its children", `status(require('child_process').execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' }))`, lockedDown},
	{"privileges of the agent", `status(fs.readFileSync('/proc/1/status', 'utf8'))`, lockedDown},
	{"ids", `process.getuid() > 0 && process.getuid() === process.getgid() && process.geteuid() === process.getuid()`, `true`},
	{"host name", `os.hostname()`, `"sandbox"`},
	{"processes", `fs.readdirSync('/proc').filter((p) => p > 0).map((p) => fs.readFileSync('/proc/' + p + '/cmdline', 'utf8').split('\0')[0])`,
		`["/app/preheat-agent","node"]`},
	{"setuid", `attempt(() => process.setuid(0))`, `"EPERM"`},
}

const nodeProlog = `const fs = require('fs'), os = require('os');
const status = (text) => Object.fromEntries(text.split('\n').map((l) => l.split(':\t'))
  .filter(([k]) => k.startsWith('Cap') || k === 'NoNewPrivs' || k === 'Seccomp').sort());
const attempt = (f) => { try { return f(); } catch (e) { return e.code; } };
const show = (f) => { try { console.log(JSON.stringify(f())); } catch (e) { console.log(JSON.stringify(String(e))); } };
`

func TestWhatASandboxIsFromInside(t *testing.T) {
	masked, err := json.Marshal(profile.Masked)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		language, prolog, show string
		facts                  []fact
	}{
		{"python", fmt.Sprintf(pythonProlog, masked), "show(lambda: (%s))\n", pythonFacts},
		{"node", nodeProlog, "show(() => (%s));\n", nodeFacts},
	} {
		t.Run(test.language, func(t *testing.T) {
			d, cli := newDriver(t)
			lang := enginetest.Language(t, cli, test.language)
			source := test.prolog
			for _, f := range test.facts {
				source += fmt.Sprintf(test.show, f.expression)
			}
			var out sandbox.Capture
			res, err := launch(t, d, lang).Run(t.Context(), program(lang, source), &out)
			stdout, stderr := out.Strings()
			values := strings.Split(strings.TrimSpace(stdout), "\n")
			if err != nil || res.Status != sandbox.OK || len(values) != len(test.facts) {
				t.Fatalf("%+v, %v, %d values of %d\n%s", res, err, len(values), len(test.facts), stderr)
			}
			for i, f := range test.facts {
				if values[i] != f.want {
					t.Errorf("%s: got %s, want %s", f.what, values[i], f.want)
				}
			}
		})
	}
}

func TestWhatASandboxIsFromOutside(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	s := launch(t, d, lang)
	info, err := cli.ContainerInspect(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, _ := strings.Cut(info.Config.User, ":")
	if n, err := strconv.Atoi(uid); err != nil || n < profile.FirstUser || n >= profile.FirstUser+profile.UserCount || gid != uid {
		t.Errorf("the user is %q", info.Config.User)
	}
	config, host := render(lang, d.cfg.Instance, 0)
	got := []any{info.HostConfig.Privileged, info.HostConfig.ReadonlyRootfs, info.HostConfig.CapAdd == nil, info.HostConfig.CapDrop,
		info.HostConfig.SecurityOpt, info.HostConfig.NetworkMode, info.HostConfig.PidMode, info.HostConfig.IpcMode, info.HostConfig.Binds,
		info.HostConfig.Memory, info.HostConfig.MemorySwap, *info.HostConfig.PidsLimit, info.HostConfig.NanoCPUs,
		info.HostConfig.MaskedPaths, info.HostConfig.ReadonlyPaths, info.Config.Volumes, len(info.Mounts), len(info.ExecIDs), info.Config.Entrypoint}
	want := []any{false, true, true, host.CapDrop,
		host.SecurityOpt, host.NetworkMode, host.PidMode, host.IpcMode, host.Binds,
		host.Memory, host.MemorySwap, *host.PidsLimit, host.NanoCPUs,
		host.MaskedPaths, host.ReadonlyPaths, config.Volumes, 0, 0, config.Entrypoint}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// heard is an Output that tells when something was printed.
type heard struct {
	sandbox.Capture
	once  sync.Once
	first chan struct{}
}

func (h *heard) Stdout(p []byte) {
	h.Capture.Stdout(p)
	h.once.Do(func() { close(h.first) })
}

// TestNothingOfOneSandboxIsSeenInAnother has one sandbox leave what it can while
// it lives, and another look for it.
func TestNothingOfOneSandboxIsSeenInAnother(t *testing.T) {
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	const leave = `import multiprocessing, os, socket, sys, time
from multiprocessing import shared_memory
a, b = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
a.bind("\0preheat-test"); a.listen()
b.bind("/dev/shm/preheat-test.sock"); b.listen()
shared_memory.SharedMemory("preheat-test", create=True, size=10)
open("/work/preheat-test", "w").close()
socket.socket(socket.AF_UNIX).connect("\0preheat-test")
print(sorted(os.listdir("/dev/shm")), flush=True)
time.sleep(60)
`
	const look = `import os, socket
from glob import glob
try:
    socket.socket(socket.AF_UNIX).connect("\0preheat-test")
except ConnectionRefusedError:
    print("refused")
print(os.listdir("/dev/shm"), os.listdir("/work"), [open(p).read() for p in glob("/proc/[0-9]*/comm")])
print("preheat-test" in open("/proc/net/unix").read())
`
	first := launch(t, d, lang)
	said := &heard{first: make(chan struct{})}
	var task sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	task.Go(func() { first.Run(ctx, program(lang, leave), said) })
	defer task.Wait()
	defer cancel()
	select {
	case <-said.first:
	case <-first.Dead():
		t.Fatal("the first sandbox has ended")
	}
	var out sandbox.Capture
	if _, err := launch(t, d, lang).Run(t.Context(), program(lang, look), &out); err != nil {
		t.Fatal(err)
	}
	left, _ := said.Strings()
	if want := "['preheat-test', 'preheat-test.sock']\n"; left != want {
		t.Errorf("the first sandbox left %q, want %q", left, want)
	}
	stdout, stderr := out.Strings()
	if want := "refused\n[] ['main.py'] ['preheat-agent\\n', 'python3\\n']\nFalse\n"; stdout != want {
		t.Errorf("the second saw %q, want %q; stderr %q", stdout, want, stderr)
	}
}

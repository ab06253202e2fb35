package docker

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

// syscallTable has the system calls of x86_64, one a line: number, name, and
// whether a sandbox may make it. A number without a call has the name "-".
const syscallTable = "testdata/syscalls.golden"

// harmless are arguments for which a rule allows a call that it does not allow
// for just any, or for which the kernel knows the call. All other calls are
// made with arguments of all ones, which no call can use.
var harmless = map[string][]uint64{
	"arch_prctl":   {0x1002, 0}, // ARCH_SET_FS, which ends the probe
	"clone":        {uint64(syscall.SIGCHLD), 0, 0, 0, 0},
	"futex":        {0, 1}, // FUTEX_WAKE
	"ioctl":        {math.MaxUint64, syscall.TCGETS, 0},
	"memfd_create": {0, 0},
	"mknod":        {0, syscall.S_IFIFO, 0},
	"mknodat":      {math.MaxUint64, 0, syscall.S_IFIFO, 0},
	"mmap":         {0, 0, 0, syscall.MAP_PRIVATE},
	"personality":  {math.MaxUint32},
	"prctl":        {syscall.PR_GET_PDEATHSIG, math.MaxUint64},
	"prlimit64":    {0, math.MaxUint64},
	"setsockopt":   {math.MaxUint64, syscall.SOL_SOCKET, syscall.SO_SNDBUF},
	"socket":       {syscall.AF_UNIX, math.MaxUint64},
	"socketpair":   {syscall.AF_UNIX, math.MaxUint64, 0, 0},
}

// unfiltered are calls that newer kernels let pass every filter. They are of no
// use but inside a probe: the kernel ends any other process that makes them.
var unfiltered = []string{"uprobe", "uretprobe"}

// ones are arguments of all ones.
var ones = slices.Repeat([]uint64{math.MaxUint64}, 6)

// TestASandboxMayMakeTheCallsOfTheListAndNoOther makes every call there is in a
// sandbox, each in a process of its own.
func TestASandboxMayMakeTheCallsOfTheListAndNoOther(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table has the numbers of x86_64")
	}
	names := syscallNames(t)
	p, err := seccomp.Parse([]byte(seccomp.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for number, name := range names {
		args := ones
		if harmless[name] != nil {
			args = harmless[name]
		}
		calls = append(calls, syscallLine(number, args))
	}
	var got, listed bytes.Buffer
	for number, answer := range probe(t, calls) {
		name := names[number]
		allowed := !slices.Contains(denials, answer) && !slices.Contains(unfiltered, name)
		fmt.Fprintln(&got, number, name, permission(allowed))
		i := p.Match(name, harmless[name]...)
		fmt.Fprintln(&listed, number, name, permission(i >= 0 && p.Syscalls[i].Action == seccomp.Allow))
	}
	if diff := cmp.Diff(listed.String(), got.String()); diff != "" {
		t.Errorf("what a sandbox may do (+) is not what the list says (-):\n%s", diff)
	}
	if *update {
		if err := os.WriteFile(syscallTable, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(syscallTable)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("not %s:\n%s", syscallTable, diff)
	}
}

// TestCallsThatDependOnTheirArguments is about rules that the table above has
// only one side of, and about calls that are not of the native architecture.
func TestCallsThatDependOnTheirArguments(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the calls have the numbers of x86_64")
	}
	const x32 = 1 << 30      // marks a number as one of that architecture
	const killed = "blocked" // the thread is, and the Go program waits for it
	tests := []struct{ what, call, want string }{
		{"an IP socket", syscallLine(syscall.SYS_SOCKET, []uint64{syscall.AF_INET, syscall.SOCK_STREAM, 0}), errno(syscall.EAFNOSUPPORT)},
		{"a netlink socket", syscallLine(syscall.SYS_SOCKET, []uint64{syscall.AF_NETLINK, syscall.SOCK_RAW, 0}), errno(syscall.EAFNOSUPPORT)},
		{"a vsock socket", syscallLine(syscall.SYS_SOCKET, []uint64{40, syscall.SOCK_STREAM, 0}), errno(syscall.EAFNOSUPPORT)},
		{"a crypto socket", syscallLine(syscall.SYS_SOCKET, []uint64{38, syscall.SOCK_SEQPACKET, 0}), errno(syscall.EAFNOSUPPORT)},
		{"a TIPC pair", syscallLine(syscall.SYS_SOCKETPAIR, []uint64{30, syscall.SOCK_STREAM, 0, 0}), errno(syscall.EAFNOSUPPORT)},
		{"clone3", syscallLine(435, ones), errno(syscall.ENOSYS)},
		{"clone into a user namespace", syscallLine(syscall.SYS_CLONE, []uint64{syscall.CLONE_NEWUSER | uint64(syscall.SIGCHLD)}), errno(syscall.EPERM)},
		{"clone into a network", syscallLine(syscall.SYS_CLONE, []uint64{syscall.CLONE_NEWNET | uint64(syscall.SIGCHLD)}), errno(syscall.EPERM)},
		{"TIOCSTI", syscallLine(syscall.SYS_IOCTL, []uint64{math.MaxUint64, syscall.TIOCSTI}), errno(syscall.EPERM)},
		{"TIOCSTI with the upper half set", syscallLine(syscall.SYS_IOCTL, []uint64{math.MaxUint64, 1<<32 | syscall.TIOCSTI}), errno(syscall.EPERM)},
		{"SO_ATTACH_FILTER", syscallLine(syscall.SYS_SETSOCKOPT, []uint64{math.MaxUint64, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER}), errno(syscall.EPERM)},
		{"PR_SET_SECCOMP", syscallLine(syscall.SYS_PRCTL, []uint64{syscall.PR_SET_SECCOMP, 0}), errno(syscall.EPERM)},
		{"PR_SET_PTRACER", syscallLine(syscall.SYS_PRCTL, []uint64{syscall.PR_SET_PTRACER, 1}), errno(syscall.EPERM)},
		{"the agent's limits", syscallLine(syscall.SYS_PRLIMIT64, []uint64{1, syscall.RLIMIT_CPU, 0, 0}), errno(syscall.EPERM)},
		{"huge pages", syscallLine(syscall.SYS_MMAP, []uint64{0, 2 << 20, 0, syscall.MAP_PRIVATE | syscall.MAP_ANONYMOUS | syscall.MAP_HUGETLB}), errno(syscall.EPERM)},
		{"a device", syscallLine(syscall.SYS_MKNOD, []uint64{0, syscall.S_IFBLK, 0}), errno(syscall.EPERM)},
		{"getpid of i386", "i386 20", killed},
		{"getpid of x32", syscallLine(x32|syscall.SYS_GETPID, nil), killed},
	}
	var calls []string
	for _, test := range tests {
		calls = append(calls, test.call)
	}
	for i, got := range probe(t, calls) {
		if got != tests[i].want {
			t.Errorf("%s: the answer is %s, want %s", tests[i].what, got, tests[i].want)
		}
	}
}

// denials are what the filter answers to a call with any arguments.
var denials = []string{errno(syscall.EPERM), errno(syscall.ENOSYS), errno(syscall.ENOTSUP)}

// errno is what the probe says of a call that failed.
func errno(e syscall.Errno) string { return strconv.Itoa(int(e)) }

func permission(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "denied"
}

// syscallLine is a call as the probe reads it.
func syscallLine(number int, args []uint64) string {
	line := strconv.Itoa(number)
	for _, a := range args {
		line += " " + strconv.FormatUint(a, 10)
	}
	return line
}

// syscallNames returns the names of calls by their numbers.
func syscallNames(t *testing.T) []string {
	t.Helper()
	f, err := os.Open(syscallTable)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		names = append(names, strings.Fields(lines.Text())[1])
	}
	return names
}

// probe makes the calls in a sandbox and returns what it says of each.
func probe(t *testing.T, calls []string) []string {
	t.Helper()
	d, cli := newDriver(t)
	lang := enginetest.Language(t, cli, "python")
	lang.Limits.CPUs = 2
	p := program(lang, "import os\nos.chmod('probe', 0o700)\nos.execv('probe', ['probe'])")
	p.Files = append(p.Files, sandbox.File{Name: "probe", Content: buildProbe(t, "syscalls")})
	p.Stdin = []byte(strings.Join(calls, "\n") + "\n")
	p.Timeout = 2 * time.Minute
	var out sandbox.Capture
	res, err := launch(t, d, lang).Run(t.Context(), p, &out)
	stdout, stderr := out.Strings()
	answers := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if err != nil || res.Status != sandbox.OK || len(answers) != len(calls) {
		t.Fatalf("%+v, %v; %d answers to %d calls\n%s", res, err, len(answers), len(calls), stderr)
	}
	return answers
}

// buildProbe builds a static program of testdata/probes.
func buildProbe(t *testing.T, name string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, "./testdata/probes/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

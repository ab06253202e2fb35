//go:build linux

// Package guest is the agent: the end of the protocol that runs inside a
// sandbox, as its first process.
//
// [Main] starts an interpreter, waits until it is warm, takes one program from
// the host, passes its input and output through, and reports how it ended. It
// is one loop over poll(2), so that output is passed on with no hand-over
// between threads and memory stays small; the only other goroutine reaps
// processes.
//
// The program shares the agent's user id. What keeps it away: the agent is not
// dumpable, so its memory and descriptors are closed to the program; as the
// first process of its PID namespace it cannot be killed from inside; it
// handles every signal it can. Whatever the program does, the host decides by
// its own clock.
package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
)

// Main runs the agent on descriptors 0 and 1, in the current folder and
// environment, and returns the process's exit code. Its words are the command of
// the interpreter, which it keeps warm; after agent.OnDemand they only name the
// program that the host's command will start. Trouble is told on descriptor 2.
func Main(words []string) int {
	onDemand := len(words) > 0 && words[0] == agent.OnDemand
	if onDemand {
		words = words[1:]
	}
	if len(words) == 0 {
		fmt.Fprintln(os.Stderr, "usage: preheat-agent ["+agent.OnDemand+"] COMMAND [ARG ...]")
		return 2
	}
	if err := run(words, onDemand); err != nil {
		fmt.Fprintln(os.Stderr, "preheat-agent:", err)
		return 1
	}
	return 0
}

// errHostGone ends the agent in peace: the host has closed the stream.
var errHostGone = errors.New("the host closed the stream")

func run(command []string, onDemand bool) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	reserveThreads()
	// Handled and dropped, not ignored: the interpreter would inherit that.
	signal.Notify(make(chan os.Signal, 1))

	// Whatever the runtime left open is not for the interpreter. A kernel too old
	// to be asked, or gVisor, leaves nothing open.
	unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)

	g := &guest{onDemand: onDemand, usage: openUsage(), buf: make([]byte, agent.MaxFrame), in: make([]byte, agent.MaxFrame)}
	if err := g.prepare(command); err != nil {
		return ended(err)
	}
	if err := g.send(agent.Ready, []byte{agent.Version}); err != nil {
		return err
	}
	return ended(g.loop())
}

// prepare returns when the agent is warm.
func (g *guest) prepare(command []string) (err error) {
	if g.onDemand {
		rehearse()
		g.child = noChild()
		_, err = exec.LookPath(command[0])
		return err
	}
	if g.child, err = start(command, os.Environ(), true); err != nil {
		return err
	}
	rehearse()
	return g.awaitWarm()
}

// ended kills everything else in the sandbox; the kernel would do it when the
// agent exits, but an agent that is being debugged is not the first process.
func ended(err error) error {
	if os.Getpid() == 1 {
		unix.Kill(-1, unix.SIGKILL)
	}
	if errors.Is(err, errHostGone) {
		return nil
	}
	return err
}

// rehearse runs the code of a run's way once, so that its pages are in memory
// and its tables are built before a program waits for them.
func rehearse() {
	words, _ := json.Marshal(agent.RunHeader{Start: agent.Start{Env: map[string]string{"A": "B"}, Args: []string{"a"}}})
	header, _ := agent.ParseRun(words)
	json.Marshal(header.Start)
	find(sandbox.Collect{Patterns: []string{"*"}}.Match, 1)
	json.Marshal(agent.Report{})
}

// guest is the state of the loop.
type guest struct {
	onDemand bool
	child    *child
	usage    *usage

	in       []byte // bytes from the host; those not yet parsed are in[start:end]
	start    int
	end      int
	stdin    []byte // bytes for the program that its pipe had no room for; aliases in
	stdinEOF bool   // the host has sent all of the input

	buf      []byte // one outgoing frame
	last     string // the name of the file that was written last
	header   agent.RunHeader
	running  bool
	finished bool
	kept     [2]int // bytes of stdout and stderr passed on
	printed  int64  // bytes of both, passed on or not
	report   agent.Report
}

// awaitWarm returns when the interpreter's warm-up code has said that it waits.
func (g *guest) awaitWarm() error {
	for {
		fds := []unix.PollFd{
			{Fd: int32(g.child.control), Events: unix.POLLIN},
			{Fd: int32(g.child.stderr), Events: unix.POLLIN},
			{Fd: 0, Events: unix.POLLRDHUP},
			{Fd: int32(g.child.exited), Events: unix.POLLIN},
		}
		if err := poll(fds); err != nil {
			return err
		}
		if fds[1].Revents&unix.POLLIN != 0 { // what goes wrong in the warm-up is for the operator
			n, _ := unix.Read(g.child.stderr, g.buf)
			os.Stderr.Write(g.buf[:max(n, 0)])
		}
		switch {
		case fds[0].Revents&unix.POLLIN != 0:
			n, err := unix.Read(g.child.control, g.buf[:2])
			if err == nil && n == 1 && g.buf[0] == 'R' {
				g.child.preferForOOM()
				return nil
			}
			return g.notWarm(g.buf[:max(n, 0)])
		case fds[3].Revents != 0:
			return g.notWarm(nil)
		case fds[2].Revents != 0:
			return errHostGone
		}
	}
}

// notWarm says why there will be no warm interpreter. One that ends closes its
// control socket a moment before.
func (g *guest) notWarm(said []byte) error {
	if len(said) > 0 {
		return fmt.Errorf("the warm-up said %q, want R", said)
	}
	exited := []unix.PollFd{{Fd: int32(g.child.exited), Events: unix.POLLIN}}
	if n, _ := unix.Poll(exited, 1000); n == 0 {
		return errors.New("the interpreter closed its control socket before it was warm")
	}
	code, err := g.child.exitCode()
	return errors.Join(fmt.Errorf("the interpreter ended before it was warm: exit code %d", code), err)
}

// loop serves until the host closes the stream.
func (g *guest) loop() error {
	for {
		fds := g.interests()
		if err := poll(fds); err != nil {
			return err
		}
		if fds[4].Revents != 0 {
			g.feed()
		}
		if fds[0].Revents != 0 {
			if err := g.receive(); err != nil {
				return err
			}
		}
		for i, fd := range []*int{&g.child.stdout, &g.child.stderr} {
			if fds[1+i].Revents != 0 {
				if _, err := g.pass(i, fd); err != nil {
					return err
				}
			}
		}
		if fds[3].Revents != 0 && !g.finished {
			if err := g.finish(); err != nil {
				return err
			}
		}
	}
}

// interests are the descriptors to wait for; poll passes over negative ones.
func (g *guest) interests() []unix.PollFd {
	fds := []unix.PollFd{
		{Fd: 0, Events: unix.POLLIN},
		{Fd: int32(g.child.stdout), Events: unix.POLLIN},
		{Fd: int32(g.child.stderr), Events: unix.POLLIN},
		{Fd: int32(g.child.exited), Events: unix.POLLIN},
		{Fd: -1, Events: unix.POLLOUT},
	}
	if len(g.stdin) > 0 { // the host waits until the program has read
		fds[0].Events = unix.POLLRDHUP
		fds[4].Fd = int32(g.child.stdin)
	}
	if g.finished {
		fds[3].Fd = -1
	}
	return fds
}

// receive reads once from the host and handles what has come.
func (g *guest) receive() error {
	if len(g.stdin) > 0 {
		return errHostGone // only its going away was waited for
	}
	if g.start > 0 {
		g.end = copy(g.in, g.in[g.start:g.end])
		g.start = 0
	}
	n, err := unix.Read(0, g.in[g.end:])
	if err != nil && err != unix.EINTR && err != unix.EAGAIN {
		return fmt.Errorf("read from the host: %w", err)
	}
	if n == 0 {
		return errHostGone
	}
	g.end += max(n, 0)
	return g.handle()
}

// handle takes whole frames until there is none left, or input that the
// program has not read yet is in the way.
func (g *guest) handle() error {
	for len(g.stdin) == 0 {
		f, n, err := agent.Parse(g.in[g.start:g.end])
		if err != nil || n == 0 {
			return err
		}
		g.start += n
		if err := g.frame(f); err != nil {
			return err
		}
	}
	return nil
}

func (g *guest) frame(f agent.Frame) error {
	switch {
	case f.Type == agent.File && !g.running:
		return g.write(f.Payload)
	case f.Type == agent.Run && !g.running:
		header, err := agent.ParseRun(f.Payload)
		if err != nil {
			return err
		}
		g.header, g.running = header, true
		return g.begin()
	case f.Type == agent.Stdin && g.running && !g.stdinEOF:
		g.stdin = f.Payload
		g.feed()
		return nil
	case f.Type == agent.StdinEOF && g.running && !g.stdinEOF:
		g.stdinEOF = true
		closeFd(&g.child.stdin)
		return nil
	}
	return fmt.Errorf("%w: frame type %#x out of turn", agent.ErrProtocol, byte(f.Type))
}

// begin starts the program; the processor time of the warm-up, which may go on
// until now, is not the program's. The token stays here.
func (g *guest) begin() (err error) {
	g.usage.mark()
	if g.onDemand {
		if g.child, err = start(g.header.Command, environ(os.Environ(), g.header.Env), false); err == nil {
			g.child.preferForOOM()
		}
		return err
	}
	words, err := json.Marshal(g.header.Start)
	if err != nil {
		return err
	}
	return g.child.release(words)
}

// write puts a file, or the next part of one, into the work folder. No code of
// the program has run yet, so nothing there can mislead it.
func (g *guest) write(payload []byte) error {
	f, err := agent.ParseFile(payload)
	if err != nil {
		return err
	}
	flags := unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC
	if f.Name == g.last {
		flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CLOEXEC
	}
	g.last = f.Name
	if dir := filepath.Dir(f.Name); dir != "." {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	// Not by os.OpenFile, whose first call sets up more than it is worth here.
	fd, err := unix.Open(f.Name, flags, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	defer unix.Close(fd)
	if err := writeAll(fd, f.Content); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	return nil
}

// feed writes input to the program. One that has closed its end gets no more.
func (g *guest) feed() {
	for len(g.stdin) > 0 {
		n, err := unix.Write(g.child.stdin, g.stdin)
		if err == unix.EAGAIN {
			return
		}
		if err != nil && err != unix.EINTR {
			g.stdin = nil // EPIPE, or closed at the program's end
			break
		}
		g.stdin = g.stdin[max(n, 0):]
	}
	g.handle()
}

// pass reads once from the program's stream i (0 stdout, 1 stderr) and passes
// on what the limit leaves room for. It reports whether there was anything.
func (g *guest) pass(i int, fd *int) (bool, error) {
	n, err := unix.Read(*fd, g.buf[agent.HeaderBytes:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return err == unix.EINTR, nil
	case err != nil || n == 0:
		closeFd(fd)
		return false, nil
	case !g.running || g.finished:
		return true, nil // of no run
	}
	g.printed += int64(n)
	keep := min(n, g.header.OutputBytes-g.kept[i])
	g.kept[i] += keep
	if keep < n {
		g.report.Truncated = true
	}
	if g.header.FloodBytes > 0 && g.printed > g.header.FloodBytes && !g.report.Flooded {
		g.report.Flooded = true
		unix.Kill(g.child.pid, unix.SIGKILL)
	}
	if keep == 0 {
		return true, nil
	}
	agent.PutHeader(g.buf, agent.Stdout+agent.Type(i), keep)
	return true, tell(g.buf[:agent.HeaderBytes+keep])
}

// finish passes on what the program has left in its pipes and reports its end.
// Children that it left behind may hold the pipes open for ever; they have had
// their time.
func (g *guest) finish() error {
	code, err := g.child.exitCode()
	if err != nil {
		return err
	}
	if !g.running {
		return fmt.Errorf("the interpreter ended while it was idle: exit code %d", code)
	}
	if os.Getpid() == 1 {
		unix.Kill(-1, unix.SIGKILL)
	}
	for i, fd := range []*int{&g.child.stdout, &g.child.stderr} {
		// At most a pipe's worth: a survivor could print on for ever.
		for rest := int64(maxPipeBytes); rest > 0 && *fd >= 0; {
			before := g.printed
			more, err := g.pass(i, fd)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			rest -= max(g.printed-before, 1)
		}
	}
	g.finished = true
	g.stdin = nil
	closeFd(&g.child.stdin)
	g.report.Token = g.header.Token
	g.report.ExitCode = code
	g.usage.read(&g.report)
	if len(g.header.Collect) > 0 && g.report.EndedByItself() {
		if err := g.collect(); err != nil {
			return err
		}
	}
	payload, err := json.Marshal(g.report)
	if err != nil {
		return err
	}
	return g.send(agent.Finished, payload)
}

// maxPipeBytes is the most that a pipe holds unless a privileged process made
// it larger (/proc/sys/fs/pipe-max-size).
const maxPipeBytes = 1 << 20

func (g *guest) send(t agent.Type, payload []byte) error {
	return tell(agent.AppendFrame(g.buf[:0], t, payload))
}

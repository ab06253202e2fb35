package attackstest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/agent"
	"github.com/preheat/preheat/sandbox/profile"
)

// cleanUp bounds the removal of a container.
const cleanUp = 30 * time.Second

// folders are where the agents of a container that is reused work, in turn: an
// agent overwrites no files.
var folders = []string{profile.WorkFolder, profile.ShmFolder}

// Capabilities are those of a control that is privileged: all that every engine
// knows but CAP_SYS_RESOURCE. An engine cannot give what it lacks itself, and some
// virtual machines withhold that one.
var Capabilities = strings.Fields(`CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_AUDIT_WRITE CAP_BLOCK_SUSPEND
	CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_IPC_LOCK CAP_IPC_OWNER CAP_KILL
	CAP_LEASE CAP_LINUX_IMMUTABLE CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_MKNOD CAP_NET_ADMIN CAP_NET_BIND_SERVICE
	CAP_NET_BROADCAST CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYSLOG CAP_SYS_ADMIN
	CAP_SYS_BOOT CAP_SYS_CHROOT CAP_SYS_MODULE CAP_SYS_NICE CAP_SYS_PACCT CAP_SYS_PTRACE CAP_SYS_RAWIO
	CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM`)

// control launches the controls of one attack.
type control struct {
	*battle
	t    *testing.T
	weak []string

	once   sync.Once
	reused sandbox.Sandbox // the one container, when it is used again
	uses   int             // of it
}

func (c *control) Launch(ctx context.Context, lang sandbox.Language) (sandbox.Sandbox, error) {
	if !slices.Contains(c.weak, "reused") {
		return c.Weak(c.t, lang, c.weak)
	}
	var err error
	c.once.Do(func() {
		if c.reused, err = c.Weak(c.t, lang, c.weak); err == nil {
			c.t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
				defer cancel()
				if err := c.reused.Destroy(ctx); err != nil {
					c.t.Error(err)
				}
			})
		}
	})
	if err != nil {
		return nil, err
	}
	stream, err := c.Enter(c.t, c.reused, lang, folders[c.uses])
	if err != nil {
		return nil, err
	}
	c.uses++
	conn, err := agent.Handshake(ctx, lang, rand.Text(), stream)
	if err != nil {
		return nil, err
	}
	return &entered{Conn: conn, id: c.reused.ID()}, nil
}

// entered is an agent that is not the first process of its container.
type entered struct {
	*agent.Conn
	id string // of the container
}

func (e *entered) ID() string            { return e.id }
func (e *entered) Dead() <-chan struct{} { return e.Done() }

func (e *entered) Run(ctx context.Context, p sandbox.Program, out sandbox.Output) (sandbox.Result, error) {
	res, err := e.Conn.Run(ctx, p, out)
	if errors.Is(err, agent.ErrLost) {
		return sandbox.Result{Status: sandbox.Error, ExitCode: sandbox.ExitKilled}, nil
	}
	return res, err
}

func (e *entered) Destroy(context.Context) error {
	e.Close()
	return nil
}

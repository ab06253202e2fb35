package httpapi

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What is read from a client after its request was refused, so that the answer
// is not lost: closing a socket with unread data resets the connection, and the
// client may see that before the answer.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// listener knows its open connections, which fasthttp's shutdown does not: it
// waits for a client that connected and sent nothing, as browsers do.
type listener struct {
	net.Listener
	close func() error // closes Listener once; fasthttp takes a second error for a failure

	mu    sync.Mutex // guards conns
	conns map[*conn]struct{}
}

func newListener(ln net.Listener) *listener {
	return &listener{Listener: ln, close: sync.OnceValue(ln.Close), conns: map[*conn]struct{}{}}
}

func (l *listener) Close() error { return l.close() }

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	return c, nil
}

// closeConns closes the connections that have sent nothing yet, or all.
func (l *listener) closeConns(all bool) {
	for _, c := range l.open() {
		if all || !c.used.Load() {
			c.Conn.Close()
		}
	}
}

func (l *listener) open() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		open = append(open, c)
	}
	return open
}

type conn struct {
	net.Conn
	listener *listener
	used     atomic.Bool // a byte was read
	linger   atomic.Bool // the client may still be sending
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.used.Store(true)
	}
	return n, err
}

func (c *conn) Close() error {
	if c.linger.Load() {
		c.drain()
	}
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// drain reads what the client still sends, in bounds. Its errors mean that the
// client is gone.
func (c *conn) drain() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
}

func lingerOn(nc net.Conn) {
	if c, ok := nc.(*conn); ok {
		c.linger.Store(true)
	}
}

package agent

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
)

// KeptDiagnostics bounds what is kept of the agent's own messages, in bytes.
const KeptDiagnostics = 4 << 10

// maxDiagnostics bounds what is read of them, in bytes: an agent that says more
// would keep its reader busy, and nobody listening.
const maxDiagnostics = 1 << 20

// Diagnostics is what an agent says on its standard error: the beginning is
// kept. Its methods are safe for concurrent use.
type Diagnostics struct {
	mu    sync.Mutex // guards what follows
	said  []byte
	heard int64 // bytes so far
}

// Write takes more, and returns an ErrProtocol when it is too much.
func (d *Diagnostics) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heard += int64(len(p)); d.heard > maxDiagnostics {
		return 0, fmt.Errorf("%w: more than %d bytes of standard error", ErrProtocol, maxDiagnostics)
	}
	d.said = append(d.said, p[:min(len(p), KeptDiagnostics-len(d.said))]...)
	return len(p), nil
}

// String returns the beginning of it, in one line of printable characters.
func (d *Diagnostics) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(string(d.said)))
}

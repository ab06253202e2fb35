package httpapi

import (
	"slices"
	"sync"
)

// line knows who waits for a sandbox, in which order, so that each can be told
// its place. The pool serves in the same order.
type line struct {
	mu      sync.Mutex // guards tickets
	tickets map[string][]*ticket
}

// ticket is a place in the line of one language.
type ticket struct {
	line     *line
	language string
}

func (l *line) join(language string) *ticket {
	t := &ticket{l, language}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tickets == nil {
		l.tickets = map[string][]*ticket{}
	}
	l.tickets[language] = append(l.tickets[language], t)
	return t
}

// leave is for one who is served, or gives up.
func (t *ticket) leave() {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	waiting := t.line.tickets[t.language]
	if i := slices.Index(waiting, t); i >= 0 {
		t.line.tickets[t.language] = slices.Delete(waiting, i, i+1)
	}
}

// position counts from 1; 0 is for one who has left.
func (t *ticket) position() int {
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	return slices.Index(t.line.tickets[t.language], t) + 1
}

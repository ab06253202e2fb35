package agent

import (
	"fmt"

	"github.com/preheat/preheat/sandbox"
)

// intake keeps the files that come from a sandbox, as far as they were asked
// for.
type intake struct {
	collect sandbox.Collect
	files   []sandbox.File // sorted by name; the last one may go on
	bytes   int64          // of all their contents
}

// take keeps a FILE frame's payload: a new file, whose name must come after
// those before it, or more of the last one.
func (in *intake) take(payload []byte) error {
	f, err := ParseFile(payload)
	if err != nil {
		return err
	}
	in.bytes += int64(len(f.Content))
	last := ""
	if n := len(in.files); n > 0 {
		last = in.files[n-1].Name
	}
	switch {
	case !in.collect.Match(f.Name):
		return fmt.Errorf("%w: a file that was not asked for", ErrProtocol)
	case in.bytes > in.collect.MaxBytes:
		return fmt.Errorf("%w: more bytes of files than were asked for", ErrProtocol)
	case f.Name < last:
		return fmt.Errorf("%w: a file out of order", ErrProtocol)
	case f.Name == last && len(f.Content) == 0: // it would count for nothing, and could come for ever
		return fmt.Errorf("%w: an empty part of a file", ErrProtocol)
	case f.Name == last:
		content := &in.files[len(in.files)-1].Content
		*content = append(*content, f.Content...)
		return nil
	case len(in.files) == in.collect.MaxFiles:
		return fmt.Errorf("%w: more files than were asked for", ErrProtocol)
	}
	in.files = append(in.files, sandbox.File{Name: f.Name, Content: append([]byte{}, f.Content...)})
	return nil
}

package agent

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/preheat/preheat/sandbox"
)

// Start is what the interpreter's warm-up code is told when it is let go.
type Start struct {
	Args        []string          `json:"args,omitempty"`
	Env         map[string]string `json:"env,omitempty"`
	Entry       string            `json:"entry,omitempty"`        // the file to run in place of the language's
	MemoryBytes int64             `json:"memory_bytes,omitempty"` // the sandbox's limit where it is not the language's
}

// RunHeader is the payload of RUN.
type RunHeader struct {
	Start

	// Token must come back in RESULT. A program may find a way to the stream,
	// but not to what the agent read from it before the program started.
	Token string `json:"token"`

	Command     []string `json:"command,omitempty"` // what to start on demand; Start then has only Env
	OutputBytes int      `json:"output_bytes"`      // kept of each of stdout and stderr
	FloodBytes  int64    `json:"flood_bytes"`       // printed in all before the agent ends the program; zero is no bound

	Collect      []string `json:"collect,omitempty"`       // patterns of the files to send back
	CollectFiles int      `json:"collect_files,omitempty"` // how many of them
	CollectBytes int64    `json:"collect_bytes,omitempty"` // and of how many bytes together
}

// Report is the payload of RESULT: what the agent saw of the program's end.
type Report struct {
	Token       string `json:"token"`        // of RUN
	ExitCode    int    `json:"exit_code"`    // 0 to 255; 128 and the signal when a signal ended it
	OOMKills    int64  `json:"oom_kills"`    // processes that the kernel's OOM killer ended in the sandbox
	Flooded     bool   `json:"flooded"`      // ended by the agent at FloodBytes
	Truncated   bool   `json:"truncated"`    // printed more than OutputBytes on a stream
	Omitted     int    `json:"omitted"`      // files that match and were not sent
	CPUMicros   int64  `json:"cpu_us"`       // processor time since RUN; zero is unknown
	MemoryBytes int64  `json:"memory_bytes"` // the sandbox's peak; zero is unknown
}

// Status is how the program ended.
func (r Report) Status() sandbox.Status {
	switch {
	case r.Flooded:
		return sandbox.OutputLimit
	case r.ExitCode == 0:
		return sandbox.OK
	case r.OOMKills > 0:
		// A parent that fails because its child was killed ran out of memory too.
		// One that outlived such a child and failed for another reason looks the
		// same from outside; that the limit was hit is then the likelier cause,
		// and true in any case. The exit code tells them apart.
		return sandbox.OutOfMemory
	}
	return sandbox.Error
}

// EndedByItself reports whether the program leaves files; see
// sandbox.Result.
func (r Report) EndedByItself() bool {
	s := r.Status()
	return s == sandbox.OK || s == sandbox.Error
}

// AppendFile appends the FILE frames that carry a file. A payload is the name's
// length in two bytes big-endian, the name, and content; a file longer than one
// frame goes on in the next with the same name.
func AppendFile(b []byte, f sandbox.File) []byte {
	prefix := AppendFileName(nil, f.Name)
	content := f.Content
	for {
		part := content[:min(len(content), MaxPayload-len(prefix))]
		content = content[len(part):]
		b = append(b, byte(File))
		b = binary.BigEndian.AppendUint32(b, uint32(len(prefix)+len(part)))
		b = append(b, prefix...)
		b = append(b, part...)
		if len(content) == 0 {
			return b
		}
	}
}

// AppendFileName appends what comes before the content in a FILE frame's
// payload.
func AppendFileName(b []byte, name string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(name))), name...)
}

// ParseFile decodes the payload of one FILE frame. The content aliases it.
func ParseFile(payload []byte) (sandbox.File, error) {
	if len(payload) < 2 {
		return sandbox.File{}, fmt.Errorf("%w: a FILE frame of %d bytes", ErrProtocol, len(payload))
	}
	n := int(binary.BigEndian.Uint16(payload))
	if len(payload) < 2+n {
		return sandbox.File{}, fmt.Errorf("%w: a FILE frame shorter than its name", ErrProtocol)
	}
	name := string(payload[2 : 2+n])
	if err := sandbox.ValidateName(name); err != nil {
		return sandbox.File{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return sandbox.File{Name: name, Content: payload[2+n:]}, nil
}

// ParseRun decodes the payload of RUN.
func ParseRun(payload []byte) (RunHeader, error) {
	var h RunHeader
	if err := decodeStrict(payload, &h); err != nil {
		return RunHeader{}, fmt.Errorf("%w: RUN: %w", ErrProtocol, err)
	}
	if h.OutputBytes < 0 || h.FloodBytes < 0 || h.CollectFiles < 0 || h.CollectBytes < 0 {
		return RunHeader{}, fmt.Errorf("%w: RUN: a negative limit", ErrProtocol)
	}
	return h, nil
}

// ParseReport decodes the payload of RESULT and refuses what no honest agent
// reports.
func ParseReport(payload []byte) (Report, error) {
	var r Report
	if err := decodeStrict(payload, &r); err != nil {
		return Report{}, fmt.Errorf("%w: RESULT: %w", ErrProtocol, err)
	}
	if r.ExitCode < 0 || r.ExitCode > 255 || r.OOMKills < 0 || r.Omitted < 0 || r.CPUMicros < 0 || r.CPUMicros > maxCPUMicros || r.MemoryBytes < 0 {
		return Report{}, fmt.Errorf("%w: RESULT: a value out of range", ErrProtocol)
	}
	return r, nil
}

func decodeStrict(payload []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("data after the value")
	}
	return nil
}

// maxCPUMicros is the most microseconds that a time.Duration holds.
const maxCPUMicros = (1<<63 - 1) / 1000

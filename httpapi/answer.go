package httpapi

import (
	"bytes"
	"encoding/base64"
	"math"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preheat/preheat/sandbox"
)

// runAnswer tells of a program that ran. In its text, what is not valid UTF-8
// became U+FFFD.
type runAnswer struct {
	ID           string         `json:"id" description:"The run's own; unique."`
	Language     string         `json:"language" description:"The language's name."`
	Status       sandbox.Status `json:"status" description:"How the program ended: ok is exit code 0, error another or a signal of its own; the others were ended at a limit."`
	Stdout       string         `json:"stdout" description:"What it printed. What is not UTF-8 became U+FFFD."`
	Stderr       string         `json:"stderr" description:"What it printed to standard error."`
	ExitCode     int            `json:"exit_code" description:"Its own, or 128 and the number of the signal that ended it; 137 where preheat did." minimum:"0" maximum:"255"`
	Error        *string        `json:"error" description:"A sentence for people; null when the status is ok."`
	Truncated    bool           `json:"truncated" description:"It printed more than was kept."`
	Files        []answerFile   `json:"files,omitempty" description:"The files that collect asked for, sorted by name."`
	FilesOmitted int            `json:"files_omitted,omitempty" description:"Files that matched, and were too many or too large."`
	Timing       timingAnswer   `json:"timing"`
	Usage        usageAnswer    `json:"usage"`
}

// answerFile is a file that a program left and the request asked for.
type answerFile struct {
	Name      string `json:"name" description:"Its path below the work folder."`
	Content   string `json:"content" description:"What is in it."`
	Encoding  string `json:"encoding" description:"How content is written here." enum:"base64"`
	MediaType string `json:"media_type" description:"By its content."`
	Image     bool   `json:"image" description:"A PNG, JPEG, GIF, WebP or SVG image, by its content."`
	Bytes     int    `json:"bytes" description:"Its size."`
}

// timingAnswer is in milliseconds, with a resolution of 0.1.
type timingAnswer struct {
	Queue  float64 `json:"queue_ms" description:"Waiting for a warm sandbox."`
	Resize float64 `json:"resize_ms,omitempty" description:"Giving the sandbox the memory asked for."`
	Run    float64 `json:"run_ms" description:"From the hand-over to the program's end."`
	Total  float64 `json:"total_ms" description:"From the arrival of the whole request."`
}

// usageAnswer has zero for what is not known, as of a program that was killed.
type usageAnswer struct {
	CPU         float64 `json:"cpu_ms" description:"Processor time; 0 is unknown."`
	MemoryBytes int64   `json:"memory_bytes" description:"The sandbox's peak, the warm interpreter included; 0 is unknown."`
}

func newRunAnswer(t task, r *ran) runAnswer {
	res := r.result
	stdout, stderr := r.output.Strings()
	stdout, stderr = text(stdout), text(stderr)
	a := runAnswer{
		ID:           t.id,
		Language:     t.language.Name,
		Status:       res.Status,
		Stdout:       stdout,
		Stderr:       stderr,
		ExitCode:     res.ExitCode,
		Error:        errorSentence(res, t.program, t.language.Limits),
		Truncated:    res.Truncated,
		FilesOmitted: res.FilesOmitted,
		Timing:       timingAnswer{millis(r.waited), millis(res.Resized), millis(res.Duration), millis(time.Since(t.arrived))},
		Usage:        usageAnswer{millis(res.Usage.CPU), res.Usage.MemoryBytes},
	}
	for _, f := range res.Files {
		a.Files = append(a.Files, newAnswerFile(f))
	}
	return a
}

// text puts U+FFFD for every byte of s that is not valid UTF-8.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func newAnswerFile(f sandbox.File) answerFile {
	kind := mediaType(f)
	return answerFile{
		Name:      f.Name,
		Content:   base64.StdEncoding.EncodeToString(f.Content),
		Encoding:  "base64",
		MediaType: kind,
		Image:     strings.HasPrefix(kind, "image/"),
		Bytes:     len(f.Content),
	}
}

// mediaType tells what a file is by its content, which a program may not
// mislead people about, and for text by its name.
func mediaType(f sandbox.File) string {
	kind := http.DetectContentType(f.Content)
	suffix := strings.ToLower(path.Ext(f.Name))
	switch {
	case !strings.HasPrefix(kind, "text/"):
		return kind
	case suffix == ".svg" && bytes.Contains(f.Content, []byte("<svg")):
		return "image/svg+xml"
	case suffix == ".json":
		return "application/json"
	case suffix == ".csv":
		return "text/csv; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// size is about how many bytes a takes.
func (a runAnswer) size() int { return len(a.Stdout) + len(a.Stderr) + a.fileBytes() }

func (a runAnswer) fileBytes() (n int) {
	for _, f := range a.Files {
		n += len(f.Content)
	}
	return n
}

// millis gives d in milliseconds with one decimal.
func millis(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*10) / 10
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/preheat/preheat/sandbox"
)

const (
	maxEventBytes  = 64 << 20        // of one event; the last one has all output and files
	maxAnswerBytes = 64 << 10        // of a refusal
	maxKeyBytes    = 4 << 10         // of a file with a key
	silence        = 1 * time.Minute // after which a server that beats more often is gone
)

var errSilence = errors.New("the server has fallen silent")

// runThere runs j on a server.
func (r *runOptions) runThere(ctx context.Context, j job, out sandbox.Output) (outcome, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	req, err := r.request(ctx, j)
	if err != nil {
		return outcome{}, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := http.Client{
		Transport: transport,
		// The key is for the server that was named, and for no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return outcome{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return outcome{}, refusal(resp)
	}
	silent := time.AfterFunc(silence, func() { stop(errSilence) })
	defer silent.Stop()
	done, err := follow(resp.Body, out, func() { silent.Reset(silence) })
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return done, err
}

// request is the job as POST /run/stream.
func (r *runOptions) request(ctx context.Context, j job) (*http.Request, error) {
	base, err := url.Parse(r.server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usageError{fmt.Errorf("--server %q: want a URL like http://127.0.0.1:5000", r.server)}
	}
	body, err := encodeJob(j)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath("run", "stream").String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return req, nil
}

func (r *runOptions) key() (string, error) {
	if r.keyFile == "" {
		return os.Getenv("PREHEAT_KEY"), nil
	}
	f, err := os.Open(r.keyFile)
	if err != nil {
		return "", fmt.Errorf("--key-file: %w", err)
	}
	defer f.Close()
	key, err := readAll(f, maxKeyBytes)
	if err != nil {
		return "", fmt.Errorf("--key-file %s: %w", r.keyFile, err)
	}
	return strings.TrimSpace(string(key)), nil
}

// wireFile is a file in a request and in an answer.
type wireFile struct {
	Name     string `json:"name"`
	Content  string `json:"content"`
	Encoding string `json:"encoding,omitempty"`
}

// encodeJob writes j as the server reads it. What is not asked for is left out.
func encodeJob(j job) ([]byte, error) {
	p := j.program
	if !utf8.Valid(p.Stdin) {
		return nil, errors.New("standard input is not UTF-8, and a server takes only that; put it into a --file")
	}
	files := make([]wireFile, len(p.Files))
	for i, f := range p.Files {
		files[i] = wireFile{Name: f.Name, Content: string(f.Content)}
		if !utf8.Valid(f.Content) {
			files[i] = wireFile{f.Name, base64.StdEncoding.EncodeToString(f.Content), "base64"}
		}
	}
	env := map[string]string{}
	for _, word := range p.Env {
		name, value, _ := strings.Cut(word, "=")
		env[name] = value
	}
	return json.Marshal(struct {
		Language    string            `json:"language"`
		Entry       string            `json:"entry"`
		Files       []wireFile        `json:"files"`
		Stdin       string            `json:"stdin,omitempty"`
		Args        []string          `json:"args,omitempty"`
		Env         map[string]string `json:"env,omitempty"`
		TimeoutMS   int64             `json:"timeout_ms,omitempty"`
		MemoryMB    int64             `json:"memory_mb,omitempty"`
		OutputBytes int               `json:"output_bytes,omitempty"`
		Collect     []string          `json:"collect,omitempty"`
	}{
		j.language, p.Entry, files, string(p.Stdin), p.Args, env,
		p.Timeout.Milliseconds(), p.MemoryBytes >> 20, p.OutputBytes, p.Collect.Patterns,
	})
}

// refused is the body of an answer to a request that did not run, and the data
// of the event error.
type refused struct {
	Sentence string `json:"error"`
	Code     string `json:"code"`
}

// refusal makes an error of an answer that is not 200.
func refusal(resp *http.Response) error {
	var said refused
	body, err := readAll(resp.Body, maxAnswerBytes)
	if err == nil {
		err = json.Unmarshal(body, &said)
	}
	if err != nil || said.Sentence == "" {
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		return fmt.Errorf("the server refused: %s (%s); it may take it in %s s", said.Sentence, said.Code, after)
	}
	return fmt.Errorf("the server refused: %s (%s)", said.Sentence, said.Code)
}

// follow prints the output that a stream tells of and returns how the run ended.
// It calls alive for every line.
func follow(body io.Reader, out sandbox.Output, alive func()) (done outcome, err error) {
	ended := false
	err = eachEvent(body, alive, func(name string, data []byte) error {
		var err error
		switch name {
		case "stdout", "stderr":
			err = printEvent(name, data, out)
		case "error":
			var said refused
			if err = json.Unmarshal(data, &said); err == nil {
				err = fmt.Errorf("the run failed on the server: %s (%s)", said.Sentence, said.Code)
			}
		case "result":
			done, err = decodeResult(data)
			ended = true
		}
		return err
	})
	if err == nil && !ended {
		err = errors.New("the server's answer ended before the run did")
	}
	return done, err
}

func printEvent(name string, data []byte, out sandbox.Output) error {
	var printed struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(data, &printed); err != nil {
		return err
	}
	if name == "stdout" {
		out.Stdout([]byte(printed.Text))
	} else {
		out.Stderr([]byte(printed.Text))
	}
	return nil
}

func decodeResult(data []byte) (outcome, error) {
	var a struct {
		Status    sandbox.Status `json:"status"`
		ExitCode  int            `json:"exit_code"`
		Error     string         `json:"error"`
		Truncated bool           `json:"truncated"`
		Files     []wireFile     `json:"files"`
		Omitted   int            `json:"files_omitted"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return outcome{}, fmt.Errorf("the server's result: %w", err)
	}
	if a.ExitCode < 0 || a.ExitCode > 255 {
		return outcome{}, fmt.Errorf("the server's result has the exit code %d", a.ExitCode)
	}
	res := sandbox.Result{Status: a.Status, ExitCode: a.ExitCode, Truncated: a.Truncated, FilesOmitted: a.Omitted}
	for _, f := range a.Files {
		content, err := base64.StdEncoding.DecodeString(f.Content)
		if err != nil {
			return outcome{}, fmt.Errorf("the server's file %q: %w", f.Name, err)
		}
		res.Files = append(res.Files, sandbox.File{Name: f.Name, Content: content})
	}
	return outcome{res, a.Error}, nil
}

// eachEvent reads server-sent events until body ends or f fails. It calls alive
// for every line.
func eachEvent(body io.Reader, alive func(), f func(name string, data []byte) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEventBytes)
	var name string
	var data []byte
	for lines.Scan() {
		alive()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := f(name, data); err != nil {
				return err
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value...)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}

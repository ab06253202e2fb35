package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/preheat/preheat/httpapi"
	"github.com/preheat/preheat/sandbox"
)

func TestTheAuditLogHasALineForEachRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, err := openAuditLog(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.ran(httpapi.Run{ID: "r1", RequestID: "q1", Key: "ci", Language: "python", Status: "ok",
		Files: []sandbox.File{{Name: "main.py", Content: []byte("print(1)")}, {Name: "empty"}}})
	line, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID, Key, Language, Status string
		RequestID                 string `json:"request_id"`
		SHA256                    map[string]string
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	want := "{r1 ci python ok q1 map[empty:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 " +
		"main.py:d287bb7f9d15abdc5b6e98536263815744b6ef21c8f3c839fc434ca70d8efe99]}"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestNoLineIsLostWhenTheAuditLogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, err := openAuditLog(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	const writers, runs, turns = 4, 200, 5
	var tasks sync.WaitGroup
	for range writers {
		tasks.Go(func() {
			for range runs {
				a.ran(httpapi.Run{ID: "r1"})
			}
		})
	}
	for i := range turns {
		if err := os.Rename(path, fmt.Sprint(path, ".", i)); err != nil {
			t.Error(err)
		}
		if err := a.reopen(); err != nil {
			t.Error(err)
		}
	}
	tasks.Wait()
	lines := 0
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(content), "\n")
	}
	if len(files) != turns+1 || lines != writers*runs {
		t.Errorf("%d lines are in %d files, want %d in %d", lines, len(files), writers*runs, turns+1)
	}
}

func TestAnAuditLogThatCannotBeWrittenIsToldOnce(t *testing.T) {
	if _, err := openAuditLog(t.TempDir(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a folder is taken for a file")
	}
	var log strings.Builder
	a, err := openAuditLog(filepath.Join(t.TempDir(), "audit.jsonl"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.close()
	a.ran(httpapi.Run{})
	a.ran(httpapi.Run{})
	if err := a.reopen(); err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.ran(httpapi.Run{})
	a.ran(httpapi.Run{})
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "lost") || !strings.Contains(lines[1], "again") {
		t.Errorf("the log is %q", lines)
	}
	if err := (*auditLog)(nil).reopen(); err != nil {
		t.Error(err)
	}
}

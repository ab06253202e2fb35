package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/preheat/preheat/httpapi"
)

// auditLog is a file that says of every run whose it was, and the hash of each of
// its files; a nil one says nothing. What cannot be written is lost, and the log
// says so once.
type auditLog struct {
	path    string
	log     *slog.Logger
	lines   *slog.Logger // writes to it
	file    atomic.Pointer[os.File]
	failing atomic.Bool
}

func openAuditLog(path string, log *slog.Logger) (*auditLog, error) {
	a := &auditLog{path: path, log: log}
	a.lines = slog.New(slog.NewJSONHandler(a, nil))
	if err := a.reopen(); err != nil {
		return nil, err
	}
	return a, nil
}

// reopen lets go of a file that was moved away, and goes on in a new one.
func (a *auditLog) reopen() error {
	if a == nil {
		return nil
	}
	f, err := os.OpenFile(a.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("--audit-log: %w", err)
	}
	if old := a.file.Swap(f); old != nil {
		old.Close()
	}
	return nil
}

// Write appends one line.
func (a *auditLog) Write(line []byte) (int, error) {
	f := a.file.Load()
	n, err := f.Write(line)
	for errors.Is(err, os.ErrClosed) && f != a.file.Load() {
		f = a.file.Load()
		n, err = f.Write(line)
	}
	if err != nil && !a.failing.Swap(true) {
		a.log.Error("lines of the audit log are lost", "error", err)
	} else if err == nil && a.failing.Swap(false) {
		a.log.Info("the audit log is written again")
	}
	return n, err
}

func (a *auditLog) ran(r httpapi.Run) {
	hashes := make(map[string]string, len(r.Files))
	for _, f := range r.Files {
		hash := sha256.Sum256(f.Content)
		hashes[f.Name] = hex.EncodeToString(hash[:])
	}
	a.lines.Info("run", "id", r.ID, "request_id", r.RequestID, "key", r.Key, "language", r.Language, "status", r.Status, "sha256", hashes)
}

func (a *auditLog) close() { a.file.Load().Close() }

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// options are the flags of serve; other commands have some of them. What they
// mean stands in flags_serve.go.
type options struct {
	addr         string
	allowRemote  bool
	allowedHosts []string
	instance     string
	grace        time.Duration
	drainDelay   time.Duration
	logFormat    string
	logLevel     string
	runLog       bool
	otlpEndpoint string
	auditLog     string

	data         string
	history      bool
	historyRuns  int
	historyAge   time.Duration
	historyBytes int64

	languages       []string
	languageFolders string
	pool            map[string]int
	maxSandboxes    int
	launches        int
	refillDelay     time.Duration
	queue           int
	queueTimeout    time.Duration

	driver  string
	runtime runtimes
	limits  sandbox.Limits

	timeout        time.Duration
	maxTimeout     time.Duration
	maxMemory      int64
	maxCode        int
	maxBody        int64
	maxUnpacked    int64
	outputBytes    int64
	maxOutputBytes int64
	floodBytes     int64
	collectFiles   int
	collectBytes   int64
	maxTests       int
	maxAsync       int
}

func defaultOptions() *options {
	return &options{
		addr:         "127.0.0.1:5000",
		grace:        15 * time.Second,
		logFormat:    "text",
		logLevel:     "info",
		runLog:       true,
		data:         dataFolder(os.Getenv, os.Geteuid()),
		history:      true,
		historyRuns:  10_000,
		historyAge:   7 * 24 * time.Hour,
		historyBytes: 256 << 20,
		refillDelay:  50 * time.Millisecond,
		queue:        32,
		queueTimeout: 10 * time.Second,
		driver:       autoDriver,
		limits:       sandbox.DefaultLimits(),
		timeout:      10 * time.Second,
		maxCode:      5000,
		maxBody:      1 << 20,
		maxUnpacked:  8 << 20,
		outputBytes:  64 << 10,
		floodBytes:   64 << 20,
		collectFiles: 32,
		collectBytes: 4 << 20,
		maxTests:     50,
		maxAsync:     100,
	}
}

// dataFolder is where keys, history and trees of images are unless the operator says otherwise;
// empty where the user has no home.
func dataFolder(getenv func(string) string, uid int) string {
	if uid == 0 {
		return "/var/lib/preheat"
	}
	return inHome(getenv, "XDG_STATE_HOME", ".local/state", "preheat")
}

// inHome is a folder below the one that a variable names, or below one of the
// home folder; empty where there is neither.
func inHome(getenv func(string) string, variable, otherwise string, below ...string) string {
	base := getenv(variable)
	if !filepath.IsAbs(base) { // a relative one is to be ignored, says the XDG standard
		home := getenv("HOME")
		if home == "" {
			return ""
		}
		base = filepath.Join(home, otherwise)
	}
	return filepath.Join(append([]string{base}, below...)...)
}

func (o *options) keysFile() string    { return filepath.Join(o.data, "keys.json") }
func (o *options) historyFile() string { return filepath.Join(o.data, "history.db") }

// usageFile keeps what keys have used of a day. Servers that share the file of
// keys need one each.
func (o *options) usageFile() string {
	return filepath.Join(o.data, "usage-"+url.PathEscape(cmp.Or(o.instance, o.addr))+".json")
}

func (o *options) validate() error {
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return errors.New("--log-format: want text or json")
	}
	if err := new(slog.LevelVar).UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	for name, value := range map[string]int64{
		"max-body": o.maxBody, "output-bytes": o.outputBytes, "max-code": int64(o.maxCode), "max-unpacked": o.maxUnpacked,
		"collect-files": int64(o.collectFiles), "collect-bytes": o.collectBytes, "max-tests": int64(o.maxTests), "max-async": int64(o.maxAsync),
		"history-runs": int64(o.historyRuns), "history-age": int64(o.historyAge), "history-size": o.historyBytes,
	} {
		if value < 1 {
			return fmt.Errorf("--%s must be positive", name)
		}
	}
	if o.drainDelay < 0 {
		return errors.New("--drain-delay must not be negative")
	}
	if err := errors.Join(o.validateDriver(), o.validateData()); err != nil {
		return err
	}
	return o.limits.Validate()
}

func (o *options) validateDriver() error {
	if !slices.Contains(driverNames(), o.driver) {
		return fmt.Errorf("--driver: want one of %s", strings.Join(driverNames(), ", "))
	}
	return nil
}

func (o *options) validateData() error {
	if o.data == "" {
		return errors.New("--data: name a folder for keys and history; there is no home folder to take")
	}
	return nil
}

// remote reports whether other machines reach the address.
func (o *options) remote() bool {
	host, _, _ := net.SplitHostPort(o.addr) // checked by validate
	return host != "localhost" && !net.ParseIP(host).IsLoopback()
}

// logger returns a logger whose level can be changed.
func (o *options) logger(w io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(o.level())
	h := &slog.HandlerOptions{Level: level}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, h)), level
	}
	return slog.New(slog.NewTextHandler(w, h)), level
}

func (o *options) level() slog.Level {
	var level slog.Level
	level.UnmarshalText([]byte(o.logLevel)) // checked by validate
	return level
}

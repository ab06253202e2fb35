package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox/docker"
	"github.com/preheat/preheat/sandbox/docker/enginetest"
	"github.com/preheat/preheat/sandbox/sandboxtest"
)

func TestASandboxIsLeakedWhenThePoolDoesNotKnowItTwice(t *testing.T) {
	down := errors.New("down")
	var found, known []string
	var failed error
	var log strings.Builder
	told := "nothing"
	a := audit{
		found: func(context.Context) ([]string, error) { return found, failed },
		known: func() []string { return known },
		tell:  func(leaked int, err error) { told = fmt.Sprint(leaked, err) },
		log:   slog.New(slog.NewTextHandler(&log, nil)),
	}
	for i, tt := range []struct {
		found, known string
		err          error
		told         string
		logged       int // lines so far
	}{
		{"", "", nil, "0 <nil>", 0},
		{"a b", "a", nil, "0 <nil>", 0},       // b is being launched
		{"a b c", "a b", nil, "0 <nil>", 0},   // c too
		{"a b c", "a b", nil, "1 <nil>", 1},   // or is it
		{"c b a", "a b", nil, "1 <nil>", 1},   // told once
		{"", "", down, "0 down", 1},           // says nothing about c
		{"a b c d", "a b", nil, "1 <nil>", 1}, // d is new
		{"a c d", "a", nil, "2 <nil>", 2},
		{"a", "a", nil, "0 <nil>", 2},
		{"a c", "a", nil, "0 <nil>", 2}, // it was away
		{"a c", "", nil, "1 <nil>", 3},  // and a is new
	} {
		found, known, failed = strings.Fields(tt.found), strings.Fields(tt.known), tt.err
		a.once(t.Context())
		if lines := strings.Count(log.String(), "\n"); told != tt.told || lines != tt.logged {
			t.Errorf("audit %d told %s, and %d lines are logged; want %s and %d", i, told, lines, tt.told, tt.logged)
		}
	}
}

func TestAuditsOfAPoolThatWorksFindNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := sandboxtest.NewFake(t)
		fake.LaunchDelay = 20 * time.Second
		p, err := pool.New(fake, pool.Config{Languages: []pool.Member{{Language: sandboxtest.FakeLanguage("python"), Size: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		audits := 0
		a := audit{
			found: func(context.Context) ([]string, error) { return fake.IDs(), nil },
			known: p.Sandboxes,
			tell: func(leaked int, err error) {
				audits++
				if leaked != 0 || err != nil {
					t.Errorf("audit %d told %d, %v", audits, leaked, err)
				}
			},
			log: slog.New(slog.DiscardHandler),
		}
		stop := a.start(auditPause)
		for range 10 {
			lease, err := p.Acquire(t.Context(), "python")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(13 * time.Second)
			lease.Close()
		}
		stop()
		if audits < 4 {
			t.Errorf("there were %d audits", audits)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := p.Sandboxes(); len(left) != 0 {
			t.Errorf("a closed pool knows %q", left)
		}
	})
}

// The engine is shared; only a container with the instance's label counts.
func TestAContainerThatThePoolDoesNotKnowIsFoundOnTheEngine(t *testing.T) {
	cli := enginetest.Client(t)
	instance := fmt.Sprintf("audit-%d", time.Now().UnixNano())
	api, err := docker.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	driver, err := docker.New(api, docker.Config{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	lang := enginetest.Language(t, cli, "python")
	p, err := pool.New(driver, pool.Config{Languages: []pool.Member{{Language: lang, Size: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	eventually(t, "a sandbox is warm", func() bool { return p.Stats().Languages[0].Warm == 1 })
	foreign, remove := enginetest.Create(t, cli, lang.Image, instance)

	leaked := -1
	a := audit{found: driver.Sandboxes, known: p.Sandboxes, log: slog.New(slog.DiscardHandler), tell: func(n int, err error) {
		leaked = n
		if err != nil {
			t.Error(err)
		}
	}}
	a.once(t.Context())
	a.once(t.Context())
	if leaked != 1 || !slices.Equal(a.leaked, []string{foreign}) {
		t.Errorf("%d are leaked, %q; want %s", leaked, a.leaked, foreign)
	}
	remove()
	if a.once(t.Context()); leaked != 0 {
		t.Errorf("%d are leaked, want none", leaked)
	}
}

package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestASlowDiskNeverBlocksAdd(t *testing.T) {
	s := open(t, Config{QueueRuns: 50})
	release := occupy(t, s)
	for i := range 120 {
		s.Add(numbered(i))
	}
	if got := s.Stats(); got.Waiting != 50 || got.Dropped.QueueFull != 70 || got.WaitingBytes == 0 {
		t.Errorf("while the disk is slow the store counts %+v", got)
	}
	if _, err := s.Get(t.Context(), Scope{}, numbered(49).ID); err != nil {
		t.Errorf("a run that waits is %v", err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(impatient, Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a list is %v", err)
	}
	release()
	flush(t, s)
	if got := s.Stats(); got.Written != 50 || got.Runs != 50 || got.Waiting != 0 || got.WaitingBytes != 0 {
		t.Errorf("after that the store counts %+v", got)
	}
}

func TestTheQueueIsBoundedInBytes(t *testing.T) {
	r := numbered(0)
	s := open(t, Config{QueueBytes: 3 * r.size()})
	defer occupy(t, s)()
	for i := range 5 {
		s.Add(numbered(i))
	}
	if got := s.Stats(); got.Waiting != 3 || got.WaitingBytes != 3*r.size() || got.Dropped.QueueFull != 2 {
		t.Errorf("the store counts %+v", got)
	}
}

// The engine waits for its lock on the clock, which here is the test's.
func TestADiskThatStaysBusyDropsRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		s := open(t, Config{Logger: log.logger()})
		synctest.Wait()
		release := occupy(t, s)
		s.Add(numbered(1))
		flush(t, s)
		if got := s.Stats(); got.Dropped.Disk != 1 || log.lines("database is locked") != 1 {
			t.Errorf("the store counts %+v", got)
		}
		release()
		s.Add(numbered(2))
		flush(t, s)
		if got := s.Stats(); got.Written != 1 || log.lines("written again") != 1 {
			t.Errorf("after that the store counts %+v", got)
		}
		shut(t, s)
	})
}

func TestAFullDiskDropsRunsAndRecovers(t *testing.T) {
	var log journal
	s := open(t, Config{Logger: log.logger()})
	limit := func(pages int) {
		t.Helper()
		if err := s.ask(t.Context(), func() error {
			_, err := s.writer.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	large := func(n int) Run {
		r := numbered(n)
		r.Answer = make([]byte, 100_000)
		return r
	}
	limit(60)
	for i := range 10 {
		s.Add(large(i))
		flush(t, s)
	}
	full := s.Stats()
	if full.Written == 0 || full.Dropped.Disk == 0 || full.Written+full.Dropped.Disk != 10 || full.Runs != int64(full.Written) {
		t.Errorf("on the full disk the store counts %+v", full)
	}
	if log.lines("cannot be written") != 1 || log.lines("disk is full") != 1 {
		t.Errorf("the log is %s", log.text.String())
	}
	if got := ids(t, s, Filter{}); len(got) != int(full.Written) {
		t.Errorf("of %d runs written, there are %v", full.Written, got)
	}
	limit(1 << 20)
	s.Add(large(20))
	if got := ids(t, s, Filter{}); len(got) != int(full.Written)+1 || log.lines("written again") != 1 {
		t.Errorf("after that there are %v", got)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	s := open(t, Config{})
	release := occupy(t, s)
	for i := range 600 {
		s.Add(numbered(i))
	}
	release()
	s = reopen(t, s, nil)
	if got := s.Stats(); got.Runs != 600 {
		t.Errorf("the store counts %+v", got)
	}
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	s := open(t, Config{})
	defer occupy(t, s)()
	s.Add(numbered(1))
	s.Add(numbered(2))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "2 runs could not be written") {
		t.Errorf("Close returned %v", err)
	}
}

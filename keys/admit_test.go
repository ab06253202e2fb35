package keys

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEveryRefusalSaysWhyAndWhenToComeAgain(t *testing.T) {
	const today = "2026-03-01"
	for name, c := range map[string]struct {
		s      state
		l      Limits
		n      int
		at     time.Time
		reason Reason
		after  time.Duration
	}{
		"no limits":                       {l: Limits{}, n: 1000},
		"a language that is allowed":      {l: Limits{Languages: []string{"node", "python"}}},
		"another language":                {l: Limits{Languages: []string{"node"}}, reason: Language},
		"before it expires":               {l: Limits{Expires: noon.Add(1)}},
		"when it expires":                 {l: Limits{Expires: noon}, reason: Expired},
		"the last run of the day":         {s: state{day: today, today: 9}, l: Limits{Daily: 10}},
		"one more":                        {s: state{day: today, today: 10}, l: Limits{Daily: 10}, reason: Daily, after: 12 * time.Hour},
		"one more, a second to midnight":  {s: state{day: today, today: 10}, l: Limits{Daily: 10}, at: noon.Add(12*time.Hour - time.Second), reason: Daily, after: time.Second},
		"one more, in another zone":       {s: state{day: today, today: 10}, l: Limits{Daily: 10}, at: noon.In(time.FixedZone("", 13*3600)), reason: Daily, after: 12 * time.Hour},
		"the next day":                    {s: state{day: today, today: 10}, l: Limits{Daily: 10}, at: noon.Add(12 * time.Hour)},
		"several that the day lacks":      {s: state{day: today, today: 8}, l: Limits{Daily: 10}, n: 3, reason: Daily, after: 12 * time.Hour},
		"several that no day has":         {l: Limits{Daily: 10}, n: 11, reason: Daily},
		"the last place":                  {s: state{running: 1}, l: Limits{Concurrent: 2}},
		"no place":                        {s: state{running: 2}, l: Limits{Concurrent: 2}, reason: Concurrent, after: time.Second},
		"several places that there are":   {l: Limits{Concurrent: 2}, n: 2},
		"several places, one is taken":    {s: state{running: 1}, l: Limits{Concurrent: 2}, n: 2, reason: Concurrent, after: time.Second},
		"more places than there ever are": {l: Limits{Concurrent: 2}, n: 3, reason: Concurrent},
		"a full bucket":                   {l: Limits{Rate: 2, Burst: 5}, n: 5},
		"a bucket is no fuller than full": {s: state{tokens: 5, at: noon.Add(-time.Hour)}, l: Limits{Rate: 2, Burst: 5}, n: 6, reason: Rate},
		"an empty bucket":                 {s: state{at: noon}, l: Limits{Rate: 2, Burst: 5}, reason: Rate, after: 500 * time.Millisecond},
		"a bucket for half a run":         {s: state{tokens: 0.5, at: noon}, l: Limits{Rate: 2}, reason: Rate, after: 250 * time.Millisecond},
		"a bucket for some of several":    {s: state{tokens: 1, at: noon}, l: Limits{Rate: 2, Burst: 5}, n: 4, reason: Rate, after: 1500 * time.Millisecond},
		"a bucket that is filled again":   {s: state{at: noon.Add(-500 * time.Millisecond)}, l: Limits{Rate: 2, Burst: 5}},
		"a slow rate lets one run start":  {l: Limits{Rate: 0.1}},
		"and then one in ten seconds":     {s: state{at: noon}, l: Limits{Rate: 0.1}, reason: Rate, after: 10 * time.Second},
		"a clock that was set back":       {s: state{tokens: 1, at: noon.Add(time.Hour)}, l: Limits{Rate: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			n, at := max(c.n, 1), c.at
			if at.IsZero() {
				at = noon
			}
			next, e := admit(c.s, c.l, "python", n, n, at)
			if e == nil {
				if c.reason != "" {
					t.Fatalf("admitted, want %s", c.reason)
				}
				if next.running != c.s.running+n || next.day != dayOf(at) {
					t.Errorf("the runs are not counted: %+v", next)
				}
				return
			}
			if e.Reason != c.reason || e.RetryAfter != c.after || e.Error() == "" {
				t.Errorf("got %s after %s (%s), want %s after %s", e.Reason, e.RetryAfter, e, c.reason, c.after)
			}
			if next != c.s {
				t.Errorf("a refused request took something: %+v", next)
			}
		})
	}
}

func TestWhoWaitsAsToldIsAdmitted(t *testing.T) {
	for _, rate := range []float64{MinRate, 0.1, 1.0 / 3, 1, 7, 1e3 / 7, MaxRate} {
		l := Limits{Rate: rate, Burst: 3}
		s, now, random := state{}, noon, rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			now = now.Add(time.Duration(random.Float64() / rate * float64(time.Second)))
			next, e := admit(s, l, "python", 2, 2, now)
			if e != nil {
				now = now.Add(e.RetryAfter)
				if next, e = admit(s, l, "python", 2, 2, now); e != nil {
					t.Fatalf("at %g runs a second, refused after the wait: another %s", rate, e.RetryAfter)
				}
			}
			s = next
		}
	}
}

func TestRunsThatWereNotCarriedOutDoNotCountForTheDay(t *testing.T) {
	for name, c := range map[string]struct {
		day   string
		ran   int
		today int
	}{
		"all ran":                  {"2026-03-01", 3, 5},
		"one ran":                  {"2026-03-01", 1, 3},
		"none ran":                 {"2026-03-01", 0, 2},
		"the day is another since": {"2026-02-28", 0, 5},
	} {
		got := finish(state{running: 4, day: "2026-03-01", today: 5}, 3, 3, c.ran, c.day)
		if got.today != c.today || got.running != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestABucketFillsUpAndTheDayEndsAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock starts at midnight, UTC
		path := tempPath(t)
		secret := mustAdd(t, path, "ci", Limits{Rate: 1, Burst: 2, Daily: 3})
		r := mustOpen(t, Config{Path: path})
		k := mustKey(t, r, secret)
		begin := func(want Reason, after time.Duration) {
			t.Helper()
			release, err := r.Begin(k, "python", 1, 1)
			if reasonOf(err) != want {
				t.Fatalf("got %v, want %q", err, want)
			}
			if e, ok := errors.AsType[*RefusedError](err); !ok {
				release(1)
			} else if e.RetryAfter != after {
				t.Errorf("retry after %s, want %s", e.RetryAfter, after)
			}
		}
		begin("", 0)
		begin("", 0)
		time.Sleep(400 * time.Millisecond)
		begin(Rate, 600*time.Millisecond)
		time.Sleep(600 * time.Millisecond)
		begin("", 0)
		time.Sleep(time.Hour - time.Second)
		begin(Daily, 23*time.Hour)
		time.Sleep(23*time.Hour - time.Nanosecond)
		begin(Daily, time.Nanosecond)
		time.Sleep(time.Nanosecond)
		begin("", 0)
	})
}

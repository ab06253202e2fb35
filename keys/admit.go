package keys

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Reason is why a request was turned away.
type Reason string

// All that there are.
const (
	Unknown    Reason = "unknown"    // no key has this secret
	Expired    Reason = "expired"    // the key has ended
	Language   Reason = "language"   // not one of the key's
	Daily      Reason = "daily"      // no runs are left for this day
	Concurrent Reason = "concurrent" // too many runs at once
	Rate       Reason = "rate"       // too many runs in a short time
)

// Reasons are all there are, in the order in which they are looked at.
var Reasons = []Reason{Unknown, Expired, Language, Daily, Concurrent, Rate}

// RefusedError turns a request away. Its text is for the client.
type RefusedError struct {
	Reason Reason

	// RetryAfter is when the same request may be admitted. Zero says that
	// waiting does not help: it asks for what the key may never do.
	RetryAfter time.Duration

	text string
}

func (e *RefusedError) Error() string { return e.text }

func refused(reason Reason, after time.Duration, format string, args ...any) *RefusedError {
	return &RefusedError{reason, after, fmt.Sprintf(format, args...)}
}

// state is what one key has used. The zero state has used nothing.
type state struct {
	tokens  float64   // runs that the rate let start at the time at
	at      time.Time // zero for a full bucket
	running int
	day     string // UTC, as 2006-01-02
	today   int    // runs admitted on day
}

// admit decides on n runs of a language, of which atOnce are under way at a time. It returns the state with them
// counted, or s as it was.
func admit(s state, l Limits, language string, n, atOnce int, now time.Time) (state, *RefusedError) {
	next := s
	if today := dayOf(now); next.day != today {
		next.day, next.today = today, 0
	}
	next.today += n
	next.running += atOnce
	if l.Rate > 0 {
		next.tokens, next.at = refill(s, l, now)-float64(n), now
	}
	switch {
	case l.expired(now):
		return s, refused(Expired, 0, "the key has expired")
	case len(l.Languages) > 0 && !slices.Contains(l.Languages, language):
		return s, refused(Language, 0, "the key may not run %s", language)
	case l.Daily > 0 && next.today > l.Daily:
		return s, refused(Daily, wait(n, l.Daily, untilMidnight(now)), "the key may do %d runs a day", l.Daily)
	case l.Concurrent > 0 && next.running > l.Concurrent:
		return s, refused(Concurrent, wait(atOnce, l.Concurrent, time.Second), "the key may do %d runs at once", l.Concurrent)
	case l.Rate > 0 && next.tokens < -slack:
		after := time.Duration(math.Ceil(-next.tokens / l.Rate * float64(time.Second)))
		return s, refused(Rate, wait(n, l.burst(), after), "the key may start %g runs a second, and %d at once", l.Rate, l.burst())
	}
	return next, nil
}

// slack is what rounding may take from a bucket that has just filled up.
const slack = 1e-6

// refill returns the tokens there are at now. A clock that was set back adds
// none.
func refill(s state, l Limits, now time.Time) float64 {
	full := float64(l.burst())
	if s.at.IsZero() {
		return full
	}
	return min(full, s.tokens+max(0, now.Sub(s.at).Seconds())*l.Rate)
}

// wait is after, or zero where n runs are more than the limit ever allows.
func wait(n, limit int, after time.Duration) time.Duration {
	if n > limit {
		return 0
	}
	return after
}

// finish ends n runs that were admitted on day, of which only ran were carried
// out. The others do not count for the day.
func finish(s state, n, atOnce, ran int, day string) state {
	s.running -= atOnce
	if s.day == day {
		s.today -= n - ran
	}
	return s
}

func (l Limits) burst() int {
	if l.Burst > 0 {
		return l.Burst
	}
	return int(math.Ceil(l.Rate))
}

func (l Limits) expired(now time.Time) bool {
	return !l.Expires.IsZero() && !now.Before(l.Expires)
}

func dayOf(now time.Time) string { return now.UTC().Format(time.DateOnly) }

func untilMidnight(now time.Time) time.Duration {
	y, m, d := now.UTC().Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Sub(now)
}

package pool

import (
	"slices"
	"strings"
	"time"
)

// demand is what one language has, and asks for.
type demand struct {
	size      int
	warm      int
	leased    int
	held      int // those of leased whose replacement is not due yet
	launching int
	leaving   int // being destroyed
	waiting   int // requests

	failing bool   // the latest launch failed: one attempt at a time
	resting bool   // it failed a moment ago: no attempt yet
	turn    uint64 // grows with every launch of any language; this one's last
}

// live is how many sandboxes of the language exist.
func (d demand) live() int { return d.warm + d.leased + d.launching + d.leaving }

// reserve is how many sandboxes the language may always have.
func (d demand) reserve() int { return max(d.size, 1) }

// lacks is how many launches the language could use now.
func (d demand) lacks() int {
	n := max(d.size-d.held, 0) + d.waiting - d.warm - d.launching
	switch {
	case d.resting:
		return 0
	case d.failing:
		return min(n, 1-d.launching)
	}
	return n
}

// surplus is how many sandboxes, warm or being launched, are more than the
// language's size and the requests that wait call for.
func (d demand) surplus() int { return max(d.warm+d.launching-d.size-d.waiting, 0) }

// plan says which languages to launch a sandbox of now, as indices of ds in the
// order of the launches. Languages take turns. None takes room that another
// needs to reach its size, so that one which is flooded, or whose leases are
// held for long, cannot starve the rest.
func plan(ds []demand, maxLive, launches int) []int {
	ds = slices.Clone(ds)
	var picked []int
	for {
		under, spoken := 0, 0
		var last uint64
		for _, d := range ds {
			under += d.launching
			spoken += max(d.live(), d.reserve())
			last = max(last, d.turn)
		}
		next := -1
		for i, d := range ds {
			fits := d.live() < d.reserve() || spoken < maxLive
			if d.lacks() > 0 && fits && (next < 0 || d.turn < ds[next].turn) {
				next = i
			}
		}
		if next < 0 || under >= launches {
			return picked
		}
		ds[next].launching++
		ds[next].turn = last + 1
		picked = append(picked, next)
	}
}

// mayQueue reports whether one more request may wait.
func mayQueue(waiting, queue int) bool { return waiting < queue }

// backoff is how long to wait after the nth failure in a row, counted from 1:
// a time around half of lo·2ⁿ, never outside lo and hi. luck is in [0,1) and
// spreads the attempts of many.
func backoff(n int, lo, hi time.Duration, luck float64) time.Duration {
	d := lo
	for range n {
		if d >= hi/2 {
			d = hi
			break
		}
		d *= 2
	}
	least := max(d/2, lo)
	return least + time.Duration(luck*float64(d-least))
}

// alike reports whether two errors say the same, but for words with a digit in
// them, such as a container's id or a time.
func alike(a, b error) bool {
	words := func(err error) []string {
		return slices.DeleteFunc(strings.Fields(err.Error()), func(w string) bool { return strings.ContainsAny(w, "0123456789") })
	}
	return slices.Equal(words(a), words(b))
}

// average moves an average by a tenth of the way to the latest value; one slow
// launch must not send every client away for long.
func average(before, latest time.Duration) time.Duration {
	if before == 0 {
		return latest
	}
	return before + (latest-before)/10
}

// retryAfter is what to tell a client that was turned away: when its request
// might find a sandbox, in whole seconds from 1 to 60.
func retryAfter(waiting, launches int, took, rest time.Duration) time.Duration {
	wait := rest + took*time.Duration(waiting/launches+1)
	whole := (wait + time.Second - 1).Truncate(time.Second)
	return min(max(whole, time.Second), time.Minute)
}

// FitMemory lowers the sizes so that warm sandboxes, at their memory limits,
// take at most three quarters of total bytes. It takes from whoever has the
// most, and leaves a language that is kept warm at least one sandbox even where
// that does not fit. A total of 0 is unknown and changes nothing.
func FitMemory(members []Member, total int64) []Member {
	members = slices.Clone(members)
	takes := func(m Member) int64 { return int64(m.Size) * m.Language.Limits.MemoryBytes }
	for total > 0 {
		var sum int64
		most := -1
		for i, m := range members {
			sum += takes(m)
			if m.Size > 1 && (most < 0 || takes(m) > takes(members[most])) {
				most = i
			}
		}
		if sum <= total/4*3 || most < 0 {
			break
		}
		members[most].Size--
	}
	return members
}

package pool

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/preheat/preheat/sandbox"
)

func TestAnAverageFollowsSlowly(t *testing.T) {
	pace := average(0, 200*time.Millisecond)
	if pace != 200*time.Millisecond {
		t.Errorf("the first makes it %v", pace)
	}
	if pace = average(pace, 2200*time.Millisecond); pace != 400*time.Millisecond {
		t.Errorf("a slow one makes it %v", pace)
	}
	for range 100 {
		pace = average(pace, 200*time.Millisecond)
	}
	if pace > 201*time.Millisecond || pace < 200*time.Millisecond {
		t.Errorf("a hundred of the first make it %v", pace)
	}
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name     string
		demands  []demand
		maxLive  int
		launches int
		want     []int
	}{
		{"fills an empty pool, the languages in turn", []demand{{size: 4}, {size: 2}}, 20, 10, []int{0, 1, 0, 1, 0, 0}},
		{"keeps to the launches at once", []demand{{size: 4, launching: 1, turn: 1}, {size: 2}}, 20, 2, []int{1}},
		{"launches nothing for a full pool", []demand{{size: 2, warm: 2}}, 10, 10, nil},
		{"counts launches under way as warm", []demand{{size: 2, warm: 1, launching: 1}}, 10, 10, nil},
		{"replaces a lease that is due", []demand{{size: 2, warm: 1, leased: 1}}, 10, 10, []int{0}},
		{"leaves a lease that is not due", []demand{{size: 2, warm: 1, leased: 1, held: 1}}, 10, 10, nil},
		{"replaces what is being destroyed", []demand{{size: 2, leaving: 2}}, 10, 10, []int{0, 0}},
		{"launches for who waits, beside the size", []demand{{size: 1, waiting: 2, leased: 1}}, 10, 10, []int{0, 0, 0}},
		{"launches for who waits, though leases are held", []demand{{size: 2, leased: 2, held: 2, waiting: 1}}, 10, 10, []int{0}},
		{"launches for who waits, though more are held than it keeps", []demand{{size: 1, leased: 3, held: 3, waiting: 1}}, 10, 10, []int{0}},
		{"launches nothing while a language rests", []demand{{size: 2, failing: true, resting: true}}, 10, 10, nil},
		{"tries one launch after a failure", []demand{{size: 2, failing: true}}, 10, 10, []int{0}},
		{"tries only one after a failure", []demand{{size: 2, launching: 1, failing: true}}, 10, 10, nil},
		{"launches what is on demand only for who waits", []demand{{}, {waiting: 1}}, 10, 10, []int{1}},
		{"stops at the most that may live", []demand{{size: 3, leased: 3, waiting: 5}}, 5, 10, []int{0, 0}},
		{"counts what is being destroyed as living", []demand{{size: 3, leaving: 5}}, 5, 10, nil},
		{"leaves the others room for their size", []demand{{size: 2, leased: 2, waiting: 9}, {size: 2, resting: true}}, 5, 10, []int{0}},
		{"gives a language its room though another waits", []demand{{size: 2, leased: 3, waiting: 9}, {size: 2}}, 5, 10, []int{1, 1}},
		{"prefers who launched longest ago", []demand{{size: 2, waiting: 9, turn: 7}, {size: 2, turn: 3}}, 20, 1, []int{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := plan(tt.demands, tt.maxLive, tt.launches); !slices.Equal(got, tt.want) {
				t.Errorf("launches %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSurplus(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    demand
		want int
	}{
		{"none in a full pool", demand{size: 2, warm: 2}, 0},
		{"none where some are missing", demand{size: 2, warm: 1}, 0},
		{"warm ones beyond the size", demand{size: 2, warm: 5}, 3},
		{"launches too", demand{size: 2, warm: 1, launching: 4}, 3},
		{"not those that requests wait for", demand{size: 1, launching: 4, waiting: 2}, 1},
		{"leases are no matter", demand{size: 1, warm: 1, leased: 5, held: 5}, 0},
	} {
		if got := tt.d.surplus(); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Whatever happens, the room that all languages may claim is never more than
// there is, so that each can reach its size.
func TestPlanNeverGivesAwayReservedRoom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	ds := []demand{{size: 3}, {size: 1}, {size: 0}}
	const maxLive = 6
	for range 5000 {
		d := &ds[rnd.IntN(len(ds))]
		switch rnd.IntN(5) {
		case 0:
			d.waiting = rnd.IntN(4)
		case 1:
			d.warm, d.launching = d.warm+d.launching, 0
		case 2:
			d.leased, d.warm = d.leased+d.warm, 0
		case 3:
			d.leaving, d.leased = d.leaving+d.leased, 0
		case 4:
			d.leaving = 0
		}
		for _, i := range plan(ds, maxLive, 1+rnd.IntN(4)) {
			ds[i].launching++
		}
		claimed := 0
		for _, d := range ds {
			claimed += max(d.live(), d.reserve())
		}
		if claimed > maxLive {
			t.Fatalf("%d sandboxes are spoken for, of %d: %+v", claimed, maxLive, ds)
		}
	}
}

func TestMayQueue(t *testing.T) {
	for _, tt := range []struct {
		waiting, queue int
		want           bool
	}{{0, 1, true}, {1, 1, false}, {31, 32, true}, {32, 32, false}, {0, NoQueue, false}} {
		if got := mayQueue(tt.waiting, tt.queue); got != tt.want {
			t.Errorf("with %d waiting in a queue of %d: %t", tt.waiting, tt.queue, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	const lo, hi = 100 * time.Millisecond, 30 * time.Second
	for _, tt := range []struct {
		failures    int
		least, most time.Duration
	}{
		{1, 100 * time.Millisecond, 200 * time.Millisecond},
		{2, 200 * time.Millisecond, 400 * time.Millisecond},
		{5, 1600 * time.Millisecond, 3200 * time.Millisecond},
		{9, 15 * time.Second, 30 * time.Second},
		{1 << 40, 15 * time.Second, 30 * time.Second},
	} {
		if got := backoff(tt.failures, lo, hi, 0); got != tt.least {
			t.Errorf("after %d failures at least %v, want %v", tt.failures, got, tt.least)
		}
		if got := backoff(tt.failures, lo, hi, 0.999999999); got > tt.most || got < tt.most-time.Microsecond {
			t.Errorf("after %d failures at most %v, want %v", tt.failures, got, tt.most)
		}
	}
	if got := backoff(1, time.Second, time.Second, 0.5); got != time.Second {
		t.Errorf("with equal bounds %v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name              string
		waiting, launches int
		took, rest, want  time.Duration
	}{
		{"at least a second", 0, 2, 0, 0, time.Second},
		{"whole seconds", 7, 2, 300 * time.Millisecond, 0, 2 * time.Second},
		{"the rest after a failure counts", 0, 2, 500 * time.Millisecond, 4 * time.Second, 5 * time.Second},
		{"at most a minute", 1000, 1, time.Second, 0, time.Minute},
	} {
		if got := retryAfter(tt.waiting, tt.launches, tt.took, tt.rest); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestFitMemory(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name   string
		sizes  []int
		memory []int64
		total  int64
		want   []int
	}{
		{"leaves what fits", []int{4, 2}, []int64{128 * mib, 128 * mib}, 1024 * mib, []int{4, 2}},
		{"takes from the largest", []int{4, 2}, []int64{128 * mib, 128 * mib}, 700 * mib, []int{2, 2}},
		{"counts memory, not sandboxes", []int{4, 2}, []int64{64 * mib, 512 * mib}, 1100 * mib, []int{4, 1}},
		{"keeps one of each", []int{4, 2}, []int64{128 * mib, 128 * mib}, 64 * mib, []int{1, 1}},
		{"leaves 0 alone", []int{0, 8}, []int64{128 * mib, 128 * mib}, 512 * mib, []int{0, 3}},
		{"does nothing when memory is unknown", []int{400}, []int64{128 * mib}, 0, []int{400}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			members := make([]Member, len(tt.sizes))
			for i := range members {
				members[i] = Member{Size: tt.sizes[i], Language: sandbox.Language{Limits: sandbox.Limits{MemoryBytes: tt.memory[i]}}}
			}
			var got []int
			for _, m := range FitMemory(members, tt.total) {
				got = append(got, m.Size)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("sizes are %v, want %v", got, tt.want)
			}
			if members[0].Size != tt.sizes[0] {
				t.Error("the caller's slice was changed")
			}
		})
	}
}

func TestErrorsAreAlikeButForTheirNumbers(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"no cage", "no cage", true},
		{"no cage", "no key", false},
		{"no cage", "no cage left", false},
		{"open /run/0a1b/log.json: no such file", "open /run/2c3d/log.json: no such file", true},
		{"W1122 14:18:04 no cage", "W1123 09:00:00 no cage", true},
		{"dial 127.0.0.1:5: refused", "dial 127.0.0.1:6: reset", false},
	} {
		if got := alike(errors.New(tt.a), errors.New(tt.b)); got != tt.want {
			t.Errorf("%q and %q: %t", tt.a, tt.b, got)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	valid := func() Config {
		return Config{Languages: []Member{{Language: sandbox.Language{Name: "python"}, Size: 4}, {Language: sandbox.Language{Name: "node"}}}}
	}
	if err := valid().Validate(); err != nil {
		t.Fatalf("the defaults do not work: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"no language":           func(c *Config) { c.Languages = nil },
		"no name":               func(c *Config) { c.Languages[0].Language.Name = "" },
		"a name twice":          func(c *Config) { c.Languages[1].Language.Name = "python" },
		"negative size":         func(c *Config) { c.Languages[0].Size = -1 },
		"no room for the sizes": func(c *Config) { c.MaxLive = 4 },
		"negative launches":     func(c *Config) { c.Launches = -1 },
		"negative queue":        func(c *Config) { c.Queue = -2 },
		"negative delay":        func(c *Config) { c.RefillDelay = -1 },
		"backoff upside down":   func(c *Config) { c.BackoffMax = time.Millisecond },
		"negative time-out":     func(c *Config) { c.DestroyTimeout = -1 },
	} {
		c := valid()
		spoil(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

package doctor

import (
	"strings"
	"testing"
)

func TestALimitThatDoesNotHoldIsToldOf(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Limits)
		want  Level
		says  string // somewhere in what was found or advised
	}{
		"all hold":         {func(*Limits) {}, Pass, "memory, pids, cpu, swap"},
		"not swap's":       {func(l *Limits) { l.Swap = false }, Warn, "swapaccount=1"},
		"not memory's":     {func(l *Limits) { l.Memory, l.Swap = false, false }, Fail, "not limited: memory, swap"},
		"not processes'":   {func(l *Limits) { l.Pids = false }, Fail, "controllers"},
		"not processors'":  {func(l *Limits) { l.CPU = false }, Fail, "not limited: cpu"},
		"none of them all": {func(l *Limits) { *l = Limits{} }, Fail, "not limited: memory, pids, cpu, swap"},
	} {
		limits := Limits{true, true, true, true}
		test.spoil(&limits)
		if c := JudgeLimits(limits); c.Level != test.want || !strings.Contains(c.Found+c.Advice, test.says) {
			t.Errorf("%s: %+v; want %s, %q", name, c, test.want, test.says)
		}
	}
}

package doctor

import "strings"

// Limits are those that the kernel can hold a sandbox to.
type Limits struct{ Memory, Swap, Pids, CPU bool }

// JudgeLimits says what a program could take too much of.
func JudgeLimits(l Limits) Check {
	var has, missing []string
	for _, limit := range []struct {
		name string
		has  bool
	}{{"memory", l.Memory}, {"pids", l.Pids}, {"cpu", l.CPU}, {"swap", l.Swap}} {
		if limit.has {
			has = append(has, limit.name)
		} else {
			missing = append(missing, limit.name)
		}
	}
	c := Check{Name: "limits", Level: Pass, Found: strings.Join(has, ", ")}
	if len(missing) == 0 {
		return c
	}
	c.Found = "not limited: " + strings.Join(missing, ", ")
	c.Level, c.Advice = Fail, "enable these cgroup controllers, and delegate them where what makes the sandboxes is not root: a program could take the whole machine"
	if len(missing) == 1 && !l.Swap {
		c.Level, c.Advice = Warn, "boot with swapaccount=1, or turn swap off: a program can take swap beyond its memory limit"
	}
	return c
}

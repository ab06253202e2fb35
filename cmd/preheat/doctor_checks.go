package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/preheat/preheat/pool"
	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/doctor"
	"github.com/preheat/preheat/sandbox/images"
)

// failed is the check that an error prevented. What follows the error's first
// line says what to do.
func failed(name string, err error) doctor.Check {
	found, advice, _ := strings.Cut(err.Error(), "\n")
	return doctor.Check{Name: name, Level: doctor.Fail, Found: found, Advice: advice}
}

// judgeMemory compares what the pool may take with the engine's memory.
func judgeMemory(members []pool.Member, total int64) doctor.Check {
	c := doctor.Check{Name: "memory", Level: doctor.Pass}
	count, bytes := sum(members)
	c.Found = fmt.Sprintf("%d warm sandboxes may take %s of %s", count, humanBytes(bytes), humanBytes(total))
	fitCount, fitBytes := sum(pool.FitMemory(members, total))
	switch {
	case total <= 0:
		c.Level = doctor.Warn
		c.Advice = "the engine does not know its machine's memory; see to it yourself that the pool fits"
	case fitBytes > total:
		c.Level = doctor.Fail
		c.Advice = "lower --memory, or serve fewer --languages: one sandbox of each does not fit"
	case fitCount < count:
		c.Level = doctor.Warn
		c.Advice = fmt.Sprintf("serve would keep %d, to stay within three quarters; lower --pool or --memory, or take a larger machine", fitCount)
	}
	return c
}

func sum(members []pool.Member) (count int, bytes int64) {
	for _, m := range members {
		count += m.Size
		bytes += int64(m.Size) * m.Language.Limits.MemoryBytes
	}
	return count, bytes
}

func judgeImage(i images.Image) doctor.Check {
	c := doctor.Check{Name: "image " + i.Language, Level: doctor.Pass, Found: fmt.Sprintf("%s, %s, version %s", i.Ref, i.Freshness, i.Version)}
	switch i.Freshness {
	case images.Missing:
		c.Level, c.Found = doctor.Fail, fmt.Sprintf("%s is missing", i.Ref)
		c.Advice = "make it: preheat images build " + i.Language
	case images.Stale:
		c.Level = doctor.Warn
		c.Advice = "it was made by another version of preheat; make it again: preheat images build " + i.Language
	}
	return c
}

func judgeRuntime(language string, r sandbox.Runtime) doctor.Check {
	c := doctor.Check{Name: "runtime " + language, Level: doctor.Pass, Found: r.Name}
	if len(r.Warnings) > 0 {
		c.Level, c.Advice = doctor.Warn, strings.Join(r.Warnings, "\n")
	}
	return c
}

// judgeRun judges the run of an empty program in a sandbox that took warm to
// launch.
func judgeRun(name string, res sandbox.Result, stderr string, warm time.Duration) doctor.Check {
	c := doctor.Check{Name: name, Level: doctor.Pass}
	c.Found = fmt.Sprintf("%s, warm in %d ms, ran in %.1f ms", res.Status, warm.Milliseconds(), res.Duration.Seconds()*1000)
	if res.Status != sandbox.OK {
		c.Level = doctor.Fail
		c.Found += fmt.Sprintf(", exit code %d: %s", res.ExitCode, strings.Join(strings.Fields(stderr), " "))
		c.Advice = "an empty program should end with exit code 0; try a larger --memory, and `preheat images build --force`"
	}
	return c
}

func humanBytes(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

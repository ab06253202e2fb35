package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// The goals that preheat sets itself.
const (
	goalTimesFaster = 30.0 // than docker run, Python
	goalWarmMillis  = 10.0
)

// report is what one run of bench measured. Times are in milliseconds, sizes in
// bytes; a size of zero is unknown.
type report struct {
	When           time.Time         `json:"when"`
	Machine        machine           `json:"machine"`
	Start          startFigures      `json:"start"`
	Languages      []languageFigures `json:"languages"`
	Sustained      sustainedFigures  `json:"sustained"`
	ServerBytes    int64             `json:"server_bytes"`     // resident, before the sustained load
	AgentFileBytes int64             `json:"agent_file_bytes"` // of the binary
	Goals          []goal            `json:"goals"`
}

// startFigures count from the start of the server's process.
type startFigures struct {
	Ready float64 `json:"ready_ms"` // /readyz says 200
	Full  float64 `json:"full_ms"`  // every sandbox of the pool is warm
}

type languageFigures struct {
	Language   string  `json:"language"`
	Warm       summary `json:"warm"`        // POST /run, as the client sees it
	WarmServer summary `json:"warm_server"` // the server's run_ms of the same runs
	DockerRun  summary `json:"docker_run"`
	DockerExec summary `json:"docker_exec"`

	RunRatio  float64 `json:"run_ratio"`  // p50 of docker run by that of a warm run
	ExecRatio float64 `json:"exec_ratio"` // p50 of docker exec by that of a warm run

	Runtime     string   `json:"runtime"`
	Differences []string `json:"differences"` // of docker run's container from the sandbox

	SandboxBytes int64 `json:"sandbox_bytes"` // what the cgroup of an idle one counts
	AgentBytes   int64 `json:"agent_bytes"`   // resident, a part of the sandbox
	ShimBytes    int64 `json:"shim_bytes"`    // resident, outside the sandbox
}

type sustainedFigures struct {
	Clients   int     `json:"clients"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"accepted_per_second"`
	Refused   int     `json:"refused"` // 429 and 503
	Accepted  summary `json:"accepted"`
}

type goal struct {
	Text   string  `json:"text"`
	Figure float64 `json:"figure"`
	Met    bool    `json:"met"`
}

// goals compares the figures with what preheat promises, Python's first.
func goals(languages []languageFigures) []goal {
	python := languages[0]
	all := []goal{{fmt.Sprintf("python: warm p50 at least %g times faster than docker run", goalTimesFaster), python.RunRatio, python.RunRatio >= goalTimesFaster}}
	for _, l := range languages {
		all = append(all, goal{fmt.Sprintf("%s: warm p50 at most %g ms", l.Language, goalWarmMillis), l.Warm.P50, l.Warm.P50 <= goalWarmMillis})
	}
	return all
}

func (r report) print(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "\n%d cores, %d MiB, Linux %s, Docker Engine %s, %s, %s, cgroup v%s\n",
		m.CPUs, m.MemoryBytes>>20, m.Kernel, m.Engine, strings.TrimSpace(m.Runtime+" "+m.RuntimeVersion), m.StorageDriver, m.CgroupVersion)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nmilliseconds\tn\tmin\tp50\tp90\tp99\t")
	line := func(name string, s summary) {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t\n", name, s.N, s.Min, s.P50, s.P90, s.P99)
	}
	for _, l := range r.Languages {
		line(l.Language+" warm, over HTTP", l.Warm)
		line(l.Language+" warm, server's run_ms", l.WarmServer)
		line(l.Language+" docker exec", l.DockerExec)
		line(l.Language+" docker run", l.DockerRun)
	}
	line(fmt.Sprintf("python sustained, %d clients", r.Sustained.Clients), r.Sustained.Accepted)

	fmt.Fprintln(w, "\nfaster than\tdocker run\tdocker exec\t")
	for _, l := range r.Languages {
		fmt.Fprintf(w, "%s warm\t%.0fx\t%.0fx\t\n", l.Language, l.RunRatio, l.ExecRatio)
	}

	fmt.Fprintln(w, "\nmemory, MiB\tsandbox\tof it agent\tshim beside it\t")
	for _, l := range r.Languages {
		fmt.Fprintf(w, "%s idle\t%s\t%s\t%s\t\n", l.Language, mebi(l.SandboxBytes), mebi(l.AgentBytes), mebi(l.ShimBytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nserver          %s MiB resident; the agent's binary %s MiB\n", mebi(r.ServerBytes), mebi(r.AgentFileBytes))
	fmt.Fprintf(out, "start to ready  %.0f ms; to a full pool %.0f ms\n", r.Start.Ready, r.Start.Full)
	fmt.Fprintf(out, "sustained       %.1f runs/s over %g s with refill; %d refused\n", r.Sustained.PerSecond, r.Sustained.Seconds, r.Sustained.Refused)
	for _, l := range r.Languages {
		fmt.Fprintf(out, "docker run      of %s has the sandbox's settings but for: %s\n", l.Language, cmp.Or(strings.Join(l.Differences, ", "), "nothing"))
	}
	fmt.Fprintln(out)
	for _, g := range r.Goals {
		met := "no "
		if g.Met {
			met = "yes"
		}
		if _, err := fmt.Fprintf(out, "goal  %s  %s: %.2f\n", met, g.Text, g.Figure); err != nil {
			return err
		}
	}
	return nil
}

// mebi writes a size in MiB.
func mebi(bytes int64) string {
	if bytes == 0 {
		return "?"
	}
	return fmt.Sprintf("%.1f", float64(bytes)/(1<<20))
}

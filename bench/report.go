package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/preheat/preheat/sandbox"
)

// report is what one run of bench measured. Times are in milliseconds, sizes in
// bytes; a size of zero is unknown.
type report struct {
	When           time.Time       `json:"when"`
	Kernel         string          `json:"kernel"`
	AgentFileBytes int64           `json:"agent_file_bytes"` // of the binary
	Drivers        []driverFigures `json:"drivers"`
	Table          []row           `json:"table"`
	Goals          []goal          `json:"goals"`
}

// driverFigures are those of one driver and runtime.
type driverFigures struct {
	Driver      string             `json:"driver"`  // as in -drivers
	Engine      sandbox.EngineInfo `json:"engine"`  // without a version where there is no daemon
	Runtime     string             `json:"runtime"` // with its version, where it is known
	Start       startFigures       `json:"start"`
	Languages   []languageFigures  `json:"languages"`    // as in hellos
	ServerBytes int64              `json:"server_bytes"` // resident, before the sustained load
	Sustained   loadFigures        `json:"sustained"`
	Cycles      []loadFigures      `json:"cycles"` // launch, run, destroy; by number of workers
	Large       poolFigures        `json:"large_pool"`
}

// startFigures count from the start of the server's process.
type startFigures struct {
	Ready float64 `json:"ready_ms"` // /readyz says 200
	Full  float64 `json:"full_ms"`  // every sandbox of the pool is warm
}

type languageFigures struct {
	Language   string  `json:"language"`
	Warm       summary `json:"warm"`                 // POST /run, as the client sees it
	WarmServer summary `json:"warm_server"`          // the server's run_ms of the same runs
	DockerRun  summary `json:"docker_run,omitzero"`  // beside the driver docker
	DockerExec summary `json:"docker_exec,omitzero"` // likewise

	RunRatio  float64 `json:"run_ratio"`  // p50 of docker run by that of a warm run
	ExecRatio float64 `json:"exec_ratio"` // p50 of docker exec by that of a warm run

	Differences []string `json:"differences,omitempty"` // of docker run's container from the sandbox
	Idle        weight   `json:"idle_bytes"`            // one sandbox
}

// poolFigures are of a large pool of Python sandboxes. Sizes are per sandbox, on
// average.
type poolFigures struct {
	Sandboxes int     `json:"sandboxes"`
	Full      float64 `json:"full_ms"` // from the start of the server's process
	weight
	Server   int64 `json:"server"`   // what the server has grown by
	Together int64 `json:"together"` // cgroup, beside and server
	Machine  int64 `json:"machine"`  // what the machine has less of, whoever holds it
}

// best are the full cycles with the number of workers that did most.
func (d driverFigures) best() loadFigures {
	return slices.MaxFunc(d.Cycles, func(a, b loadFigures) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
}

// row has a figure of every driver, in the order of drivers.
type row struct {
	What    string    `json:"what"`
	Figures []float64 `json:"figures"` // zero is unknown
	Ratios  []float64 `json:"ratios"`  // to the first driver's
}

// rows are the figures that drivers are compared by.
var rows = []struct {
	what string
	of   func(driverFigures) float64
}{
	{"python warm p50, ms", func(d driverFigures) float64 { return d.Languages[0].Warm.P50 }},
	{"python warm p50, server's run_ms", func(d driverFigures) float64 { return d.Languages[0].WarmServer.P50 }},
	{"node warm p50, ms", func(d driverFigures) float64 { return d.Languages[1].Warm.P50 }},
	{"node warm p50, server's run_ms", func(d driverFigures) float64 { return d.Languages[1].WarmServer.P50 }},
	{"sustained runs/s", func(d driverFigures) float64 { return d.Sustained.PerSecond }},
	{"full cycles/s", func(d driverFigures) float64 { return d.best().PerSecond }},
	{"with so many workers", func(d driverFigures) float64 { return float64(d.best().Workers) }},
	{"start to ready, ms", func(d driverFigures) float64 { return d.Start.Ready }},
	{"start to a full pool, ms", func(d driverFigures) float64 { return d.Start.Full }},
	{"start to a full large pool, ms", func(d driverFigures) float64 { return d.Large.Full }},
	{"idle python in a large pool, MiB", func(d driverFigures) float64 { return mebi(d.Large.Together) }},
	{"- its cgroup", func(d driverFigures) float64 { return mebi(d.Large.Cgroup) }},
	{"- processes beside it", func(d driverFigures) float64 { return mebi(d.Large.Beside) }},
	{"- growth of the server", func(d driverFigures) float64 { return mebi(d.Large.Server) }},
	{"the machine has less, MiB", func(d driverFigures) float64 { return mebi(d.Large.Machine) }},
	{"idle python, one, its cgroup, MiB", func(d driverFigures) float64 { return mebi(d.Languages[0].Idle.Cgroup) }},
	{"- of it the agent", func(d driverFigures) float64 { return mebi(d.Languages[0].Idle.Agent) }},
	{"idle node, one, its cgroup, MiB", func(d driverFigures) float64 { return mebi(d.Languages[1].Idle.Cgroup) }},
	{"the server, MiB", func(d driverFigures) float64 { return mebi(d.ServerBytes) }},
}

type goal struct {
	Text   string  `json:"text"`
	Figure float64 `json:"figure"`
	Met    bool    `json:"met"`
}

// promises are what preheat sets itself: a driver's figure is to be at least, or
// at most, the bound. One that is counted in times is divided by the figure of
// the first driver, which must be docker.
var promises = []struct {
	driver, text string
	of           func(driverFigures) float64
	bound        float64
	least, times bool
}{
	{"docker", "python warm p50, times faster than docker run", func(d driverFigures) float64 { return d.Languages[0].RunRatio }, 30, true, false},
	{"docker", "python warm p50, ms", rows[0].of, 10, false, false},
	{"docker", "node warm p50, ms", rows[2].of, 10, false, false},
	{"oci", "python warm p50, ms", rows[0].of, 2.5, false, false},
	{"oci", "full cycles/s", rows[5].of, 45, true, false},
	{"oci", "full cycles/s, times docker's", rows[5].of, 6, true, true},
	{"oci", "idle python in a large pool, MiB", rows[10].of, 10, false, false},
}

// compare fills in what follows from the drivers' figures.
func (r *report) compare() {
	first, docker := r.Drivers[0], strings.HasPrefix(r.Drivers[0].Driver, "docker")
	for _, d := range r.Drivers {
		for i := range d.Languages {
			l := &d.Languages[i]
			l.RunRatio = ratio(first.Languages[i].DockerRun.P50, l.Warm.P50)
			l.ExecRatio = ratio(first.Languages[i].DockerExec.P50, l.Warm.P50)
		}
	}
	for _, m := range rows {
		line := row{What: m.what}
		for _, d := range r.Drivers {
			line.Figures, line.Ratios = append(line.Figures, m.of(d)), append(line.Ratios, ratio(m.of(d), m.of(first)))
		}
		r.Table = append(r.Table, line)
	}
	for _, d := range r.Drivers {
		for _, p := range promises {
			if name, _, _ := strings.Cut(d.Driver, ":"); name != p.driver || p.times && !docker {
				continue
			}
			g := goal{Text: fmt.Sprintf("%s: %s, at most %g", d.Driver, p.text, p.bound), Figure: p.of(d)}
			if p.times {
				g.Figure = ratio(g.Figure, p.of(first))
			}
			g.Met = g.Figure <= p.bound
			if p.least {
				g.Text, g.Met = strings.Replace(g.Text, "at most", "at least", 1), g.Figure >= p.bound
			}
			r.Goals = append(r.Goals, g)
		}
	}
}

// ratio is zero where there is nothing to compare with.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// mebi is a size in MiB.
func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (r report) print(out io.Writer) error {
	e := r.Drivers[0].Engine
	fmt.Fprintf(out, "\n%d cores, %d MiB, Linux %s, cgroup v%d; the agent's binary %.1f MiB\n", e.CPUs, e.MemoryBytes>>20, r.Kernel, e.CgroupVersion, mebi(r.AgentFileBytes))
	for _, d := range r.Drivers {
		fmt.Fprintf(out, "%s: %s, %s\n", d.Driver, strings.TrimSpace(d.Engine.Name+" "+d.Engine.Version), d.Runtime)
		for _, l := range d.Languages {
			if l.DockerRun.N > 0 {
				fmt.Fprintf(out, "docker run of %s has the sandbox's settings but for: %s\n", l.Language, cmp.Or(strings.Join(l.Differences, ", "), "nothing"))
			}
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	r.printTimes(w)
	r.printTable(w)
	if err := w.Flush(); err != nil {
		return err
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

func (r report) printTimes(w io.Writer) {
	fmt.Fprintln(w, "\nmilliseconds\tn\tmin\tp50\tp90\tp99\tp50 of docker run\tof docker exec\t")
	line := func(d driverFigures, name string, s summary, ratios string) {
		if s.N > 0 {
			fmt.Fprintf(w, "%s %s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", d.Driver, name, s.N, s.Min, s.P50, s.P90, s.P99, ratios)
		}
	}
	const none = "\t\t"
	for i, h := range hellos {
		for _, d := range r.Drivers {
			l := d.Languages[i]
			line(d, h.language+" warm, over HTTP", l.Warm, fmt.Sprintf("%.0fx\t%.0fx\t", l.RunRatio, l.ExecRatio))
			line(d, h.language+" warm, server's run_ms", l.WarmServer, none)
			line(d, h.language+" docker exec", l.DockerExec, none)
			line(d, h.language+" docker run", l.DockerRun, none)
		}
	}
	for _, d := range r.Drivers {
		line(d, fmt.Sprintf("sustained, %d clients, %d refused", d.Sustained.Workers, d.Sustained.Refused), d.Sustained.Each, none)
		line(d, fmt.Sprintf("full cycle, %d workers", d.best().Workers), d.best().Each, none)
	}
}

func (r report) printTable(w io.Writer) {
	fmt.Fprintf(w, "\nthe large pool has %d\t", r.Drivers[0].Large.Sandboxes)
	for _, d := range r.Drivers {
		fmt.Fprintf(w, "%s\tto the first\t", d.Driver)
	}
	fmt.Fprintln(w)
	for _, line := range r.Table {
		fmt.Fprint(w, line.What, "\t")
		for i, f := range line.Figures {
			fmt.Fprintf(w, "%.1f\t%.2fx\t", f, line.Ratios[i])
		}
		fmt.Fprintln(w)
	}
}

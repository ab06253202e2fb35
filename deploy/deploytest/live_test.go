package deploytest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// A Prometheus takes either the classic histograms or the native ones; rules and
// panels must do with both.
func TestPrometheusWatchesAServerUnderLoad(t *testing.T) {
	tool(t, "prometheus")
	s := startServer(t)
	classic := startPrometheus(t, s)
	native := startPrometheus(t, s, "--enable-feature=native-histograms")
	load(t, s)
	t.Run("what should fail has failed", func(t *testing.T) {
		classic.fill(t, []string{
			`preheat_runs_total{status="timeout"} > 0`, `preheat_runs_total{status="out_of_memory"} > 0`, `preheat_runs_total{status="output_limit"} > 0`,
			`preheat_rejections_total{reason="queue_full"} > 0`, `preheat_key_refusals_total{reason="unknown"} > 0`,
		})
	})
	for name, p := range map[string]prometheus{"classic": classic, "native": native} {
		t.Run(name, func(t *testing.T) {
			t.Run("the server is up", func(t *testing.T) { scrapes(t, p) })
			t.Run("every rule evaluates", func(t *testing.T) { evaluates(t, p) })
			t.Run("every panel has data", func(t *testing.T) { answers(t, p) })
		})
	}
	t.Run("the histograms are of the kind asked for", func(t *testing.T) {
		const buckets = `count(preheat_run_duration_seconds_bucket)`
		if len(classic.numbers(t, buckets)) == 0 || len(native.numbers(t, buckets)) != 0 {
			t.Error("one of the two has the other's histograms")
		}
	})
	t.Run("the panels are drawn", func(t *testing.T) { draws(t, classic) })
	for _, p := range []prometheus{classic, native} {
		p.process.stop(t)
		for line := range strings.Lines(p.process.log.String()) {
			if strings.Contains(line, `component="scrape manager"`) && !strings.Contains(line, "level=info") {
				t.Errorf("Prometheus complains: %s", line)
			}
		}
	}
}

func scrapes(t *testing.T, p prometheus) {
	eventually(t, func() string {
		var data struct {
			ActiveTargets []struct{ Health, LastError string }
		}
		p.get(t, "targets", nil, &data)
		if targets := data.ActiveTargets; len(targets) != 1 || targets[0].Health != "up" || targets[0].LastError != "" {
			return fmt.Sprintf("target that is up; there are %v", targets)
		}
		return ""
	})
}

// rule is one as Prometheus has it.
type rule struct {
	Name, Type, Query, Health, LastError string
	Labels                               map[string]string
}

func (p prometheus) rules(t *testing.T) []rule {
	t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	p.get(t, "rules", nil, &data)
	var all []rule
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func evaluates(t *testing.T, p prometheus) {
	eventually(t, func() string {
		for _, r := range p.rules(t) {
			if r.Health == "unknown" {
				return "evaluation of " + r.Name
			}
		}
		return ""
	})
	watching := 0
	var recorded []string
	for _, r := range p.rules(t) {
		if r.Health != "ok" || r.LastError != "" {
			t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
		}
		if r.Type == "alerting" {
			watching++
			p.numbers(t, r.Query) // fails on an error and on a warning
			continue
		}
		selector := `{__name__="` + r.Name + `"`
		for name, value := range r.Labels {
			selector += "," + name + `="` + value + `"`
		}
		recorded = append(recorded, selector+"}")
	}
	if watching != len(alerts(t)) {
		t.Errorf("Prometheus has %d alerts", watching)
	}
	p.fill(t, recorded)
}

func answers(t *testing.T, p prometheus) {
	d := readDashboard(t)
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		selector, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Query, "label_values("), ")"), ", ")
		var values []string
		p.get(t, "label/"+label+"/values", url.Values{"match[]": {expand(selector)}}, &values)
		if !ok || len(values) == 0 {
			t.Errorf("the variable %s has no values", v.Name)
		}
	}
	for _, a := range d.Annotations.List {
		p.numbers(t, a.Expr) // fails on an error and on a warning
	}
	var queries []string
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
	}
	p.fill(t, queries)
}

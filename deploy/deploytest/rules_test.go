package deploytest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestPromtoolAcceptsTheConfigurationAndTheRules(t *testing.T) {
	run(t, exec.Command(tool(t, "promtool"), "check", "config", "--lint=all", "--lint-fatal", "../prometheus/prometheus.yml"))
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	run(t, exec.Command(tool(t, "promtool"), "test", "rules", "../prometheus/tests/alerts.yml"))
}

// alert is a rule as its file has it.
type alert struct {
	Name        string `yaml:"alert"`
	Expr        string
	Labels      struct{ Severity string }
	Annotations struct{ Summary, Runbook string }
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	decode(t, "../prometheus/rules/alerts.yml", &file)
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestEveryAlertHasASeverityASummaryARunbookAndBothTests(t *testing.T) {
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Name  string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	decode(t, "../prometheus/tests/alerts.yml", &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			if len(a.Fires) > 0 {
				fires[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	doc, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	all := alerts(t)
	for _, a := range all {
		if !fires[a.Name] || !silent[a.Name] {
			t.Errorf("%s: tests/alerts.yml has no case in which it fires, or none in which it is silent", a.Name)
		}
		if s := a.Labels.Severity; s != "critical" && s != "warning" {
			t.Errorf("%s: the severity is %q", a.Name, s)
		}
		if a.Annotations.Summary == "" {
			t.Errorf("%s has no summary", a.Name)
		}
		if want := "https://github.com/preheat/preheat/blob/main/docs/monitoring.md#" + strings.ToLower(a.Name); a.Annotations.Runbook != want {
			t.Errorf("%s: the runbook is %q, want %q", a.Name, a.Annotations.Runbook, want)
		}
		if !strings.Contains(string(doc), "\n### "+a.Name+"\n") {
			t.Errorf("%s has no heading in docs/monitoring.md", a.Name)
		}
	}
	if n := strings.Count(string(doc), "\n### Preheat"); n != len(all) {
		t.Errorf("docs/monitoring.md has headings for %d alerts, there are %d", n, len(all))
	}
}

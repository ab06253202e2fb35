package deploytest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const dashboardFile = "../grafana/dashboards/preheat.json"

// panel is as Grafana's file has it.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []target `json:"targets"`
}

type target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
}

type dashboard struct {
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Panels      []panel
}

// expand puts in the values that Grafana would, with All of every variable.
var expand = strings.NewReplacer("$instance", ".*", "$language", ".*", "$__rate_interval", "10s").Replace

// readDashboard returns the dashboard with its variables' values put in.
func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	for _, p := range d.Panels {
		for i := range p.Targets {
			p.Targets[i].Expr = expand(p.Targets[i].Expr)
		}
	}
	return d
}

func TestEveryPanelSaysWhatItShowsAndHasAPlaceOfItsOwn(t *testing.T) {
	d := readDashboard(t)
	if d.SchemaVersion < 39 {
		t.Errorf("the schema version is %d, Grafana 11 has 39", d.SchemaVersion)
	}
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: another panel has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := places[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s lacks a description, a unit, a query or the data source", p.Title)
		}
		for _, target := range p.Targets {
			if strings.Contains(target.Expr, "$") || target.LegendFormat == "" {
				t.Errorf("%s: an unknown variable in, or no legend for, %s", p.Title, target.Expr)
			}
		}
	}
}

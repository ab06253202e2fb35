package deploytest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// prometheus is a running Prometheus.
type prometheus struct {
	url     string
	since   time.Time
	process *process
}

var listening = regexp.MustCompile(`msg="?Listening on"? address=(\S+)`)

// startPrometheus starts one that watches s as deploy/prometheus says, but more
// often.
func startPrometheus(t *testing.T, s server, flags ...string) prometheus {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(configuration(t, s)), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--config.file", file, "--storage.tsdb.path", filepath.Join(folder, "data"),
		"--web.listen-address", "127.0.0.1:0"}, flags...)
	process, address := start(t, exec.Command(tool(t, "prometheus"), args...), listening)
	p := prometheus{"http://" + address, time.Now(), process}
	eventually(t, func() string {
		resp, err := fetch(t, p.url+"/-/ready")
		if err != nil {
			return err.Error()
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "Prometheus: " + resp.Status
		}
		return ""
	})
	return p
}

// configuration is deploy/prometheus/prometheus.yml with what a test must change,
// and the lines for a server with keys.
func configuration(t *testing.T, s server) string {
	t.Helper()
	text, err := os.ReadFile("../prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("../prometheus/rules")
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	for _, change := range [][2]string{
		{"15s", "500ms"},
		{"127.0.0.1:5000", s.address},
		{"- rules/", "- " + rules + "/"},
		{"# authorization:", "authorization:"},
		{"#   credentials_file: /etc/prometheus/preheat.key", "  credentials_file: " + s.keyFile},
	} {
		if !strings.Contains(config, change[0]) {
			t.Fatalf("prometheus.yml has no %q any more", change[0])
		}
		config = strings.ReplaceAll(config, change[0], change[1])
	}
	return config
}

func fetch(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // leaves no goroutine
	return http.DefaultClient.Do(req)
}

// get asks the API and decodes the answer's data. An answer with a warning fails
// the test.
func (p prometheus) get(t *testing.T, path string, params url.Values, data any) {
	t.Helper()
	resp, err := fetch(t, p.url+"/api/v1/"+path+"?"+params.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error    string
		Warnings []string
		Data     json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" || len(answer.Warnings) > 0 {
		t.Fatalf("%s %v: %s %q", path, params, answer.Error, answer.Warnings)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		t.Fatal(err)
	}
}

// numbers returns the values of an expression that are numbers.
func (p prometheus) numbers(t *testing.T, expr string) []string {
	t.Helper()
	var data struct{ Result []struct{ Value [2]any } }
	p.get(t, "query", url.Values{"query": {expr}}, &data)
	var values []string
	for _, r := range data.Result {
		if text, _ := r.Value[1].(string); text != "NaN" && text != "" {
			values = append(values, text)
		}
	}
	return values
}

// fill waits until each of the queries returns a number.
func (p prometheus) fill(t *testing.T, queries []string) {
	t.Helper()
	if len(queries) == 0 {
		t.Error("there is nothing to ask for")
	}
	eventually(t, func() string {
		queries = slices.DeleteFunc(queries, func(query string) bool { return len(p.numbers(t, query)) > 0 })
		if len(queries) == 0 {
			return ""
		}
		return "data for\n" + strings.Join(queries, "\n")
	})
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// inspected is what `docker inspect` says of a container, as far as it matters.
type inspected struct {
	Image      string
	Config     map[string]any
	HostConfig map[string]any
}

func inspect(ctx context.Context, id string) (inspected, error) {
	out, err := docker(ctx, "inspect", "--format", "{{json .}}", id)
	if err != nil {
		return inspected{}, err
	}
	return parseInspected(out)
}

func parseInspected(text string) (c inspected, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber() // large ones are written as they came
	return c, d.Decode(&c)
}

// runFlags are the `docker run` flags that make a container like an inspected
// one, one a line.
const runFlags = `{{with .Config}}--user={{.User}}
--hostname={{.Hostname}}
--workdir={{.WorkingDir}}
{{range .Env}}{{if keep .}}--env={{.}}
{{end}}{{end}}{{end}}{{with .HostConfig}}--network={{.NetworkMode}}
--ipc={{.IpcMode}}
--cgroupns={{.CgroupnsMode}}
--runtime={{.Runtime}}
--log-driver={{.LogConfig.Type}}
--oom-score-adj={{.OomScoreAdj}}
--shm-size={{.ShmSize}}
--memory={{.Memory}}
--memory-swap={{.MemorySwap}}
--cpus={{billionth .NanoCpus}}
--pids-limit={{.PidsLimit}}
--read-only={{.ReadonlyRootfs}}
{{range $path, $options := .Tmpfs}}--tmpfs={{$path}}:{{$options}}
{{end}}{{range .CapDrop}}--cap-drop={{.}}
{{end}}{{range .SecurityOpt}}--security-opt={{security .}}
{{end}}{{range .Ulimits}}--ulimit={{.Name}}={{.Soft}}:{{.Hard}}
{{end}}{{end}}--init=false
--no-healthcheck`

// flags returns the flags for a container like c, except for the variables in
// hooks, which would start the warm-up. The docker command takes a file in the
// place of c's seccomp profile.
func (c inspected) flags(hooks []string) ([]string, error) {
	t := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"keep": func(env string) bool { return !slices.Contains(hooks, env) },
		"billionth": func(n json.Number) (string, error) {
			f, err := n.Float64()
			return strconv.FormatFloat(f/1e9, 'f', -1, 64), err
		},
		"security": func(option string) string {
			if strings.HasPrefix(option, "seccomp={") {
				return "seccomp=sandbox/profile/seccomp/seccomp.json"
			}
			return option
		},
	})
	var out bytes.Buffer
	err := template.Must(t.Parse(runFlags)).Execute(&out, c)
	return strings.Split(out.String(), "\n"), err
}

// differences names the fields of two host configurations that differ. A
// missing field, an empty one and zero are the same.
func differences(a, b map[string]any) []string {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(k string) bool {
		return empty(a[k]) && empty(b[k]) || reflect.DeepEqual(a[k], b[k])
	})
}

func empty(v any) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !empty(e) })
	case map[string]any:
		return len(v) == 0
	}
	return v == nil || v == "" || v == false || v == json.Number("0")
}

package main

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := []struct {
		name   string
		sorted []time.Duration
		p      float64
		want   time.Duration
	}{
		{"of nothing", nil, 50, 0},
		{"of one", hundred[:1], 99, 1},
		{"the least", hundred, 0, 1},
		{"the median of an even number is the lower", hundred[:4], 50, 2},
		{"the median of an odd number is the middle", hundred[:5], 50, 3},
		{"p90 of ten", hundred[:10], 90, 9},
		{"p99 of ten is the greatest", hundred[:10], 99, 10},
		{"p99 of a hundred", hundred, 99, 99},
		{"the greatest", hundred, 100, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := percentile(tt.sorted, tt.p); got != tt.want {
				t.Errorf("percentile(%v) = %d, want %d", tt.p, got, tt.want)
			}
		})
	}
}

func TestASummaryDoesNotDependOnTheOrder(t *testing.T) {
	got := summarize([]time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond})
	if want := (summary{N: 3, Min: 1, P50: 2, P90: 3, P99: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

const model = `{
	"Id": "abc", "Image": "sha256:1",
	"Config": {"User": "10001:10001", "Hostname": "sandbox", "WorkingDir": "/work", "Env": ["HOME=/work", "PYTHONPATH=/app/python"]},
	"HostConfig": {
		"NetworkMode": "none", "IpcMode": "private", "CgroupnsMode": "private", "Runtime": "runc", "ReadonlyRootfs": true,
		"Tmpfs": {"/work": "rw,size=1"}, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges", "seccomp={\"defaultAction\":\"SCMP_ACT_ERRNO\"}"],
		"LogConfig": {"Type": "none", "Config": null}, "OomScoreAdj": 500, "ShmSize": 16, "Memory": 128, "MemorySwap": 128,
		"NanoCpus": 500000000, "PidsLimit": 64, "Ulimits": [{"Name": "nofile", "Hard": 256, "Soft": 255}], "Init": false
	}
}`

func TestTheFlagsAreThoseOfTheSandbox(t *testing.T) {
	var c inspected
	if err := json.Unmarshal([]byte(model), &c); err != nil {
		t.Fatal(err)
	}
	if got, want := c.seccomp(), `{"defaultAction":"SCMP_ACT_ERRNO"}`; got != want {
		t.Errorf("seccomp() = %q, want %q", got, want)
	}
	got := " " + strings.Join(c.flags([]string{"PYTHONPATH=/app/python"}, "/tmp/profile"), " ") + " "
	for _, want := range []string{
		"--user 10001:10001", "--hostname sandbox", "--workdir /work", "--network none", "--ipc private", "--cgroupns private",
		"--runtime runc", "--log-driver none", "--oom-score-adj 500", "--shm-size 16", "--memory 128", "--memory-swap 128",
		"--cpus 0.5", "--pids-limit 64", "--read-only=true", "--init=false", "--tmpfs /work:rw,size=1", "--cap-drop ALL",
		"--security-opt no-new-privileges", "--security-opt seccomp=/tmp/profile", "--ulimit nofile=255:256", "--env HOME=/work",
	} {
		if !strings.Contains(got, " "+want+" ") {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, "PYTHONPATH") {
		t.Errorf("the warm-up would start: %s", got)
	}
}

func TestADifferenceIsNamedAndAnEmptyFieldIsNone(t *testing.T) {
	a := map[string]any{"Memory": 128.0, "Binds": nil, "Init": false, "Masked": []any{"/a", "/b"}, "Only": "a"}
	b := map[string]any{"Memory": 128.0, "Binds": []any{}, "Masked": []any{"/a"}, "Dns": []any{}, "Size": []any{0.0, 0.0}}
	if got, want := differences(a, b), []string{"Masked", "Only"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAGoalIsMetAtItsBound(t *testing.T) {
	met := func(warm, ratio float64) []bool {
		var got []bool
		for _, g := range goals([]languageFigures{{Language: "python", Warm: summary{P50: warm}, RunRatio: ratio}}) {
			got = append(got, g.Met)
		}
		return got
	}
	if got := met(10, 30); !slices.Equal(got, []bool{true, true}) {
		t.Errorf("at the bounds: %v", got)
	}
	if got := met(10.1, 29.9); !slices.Equal(got, []bool{false, false}) {
		t.Errorf("beyond the bounds: %v", got)
	}
}

package main

import (
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
		"LogConfig": {"Type": "none", "Config": null}, "OomScoreAdj": 500, "ShmSize": 16, "Memory": 134217728, "MemorySwap": 134217728,
		"NanoCpus": 500000000, "PidsLimit": 64, "Ulimits": [{"Name": "nofile", "Hard": 256, "Soft": 255}], "Init": false
	}
}`

func TestTheFlagsAreThoseOfTheSandbox(t *testing.T) {
	c, err := parseInspected(model)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.flags([]string{"PYTHONPATH=/app/python"})
	want := strings.Fields(`--user=10001:10001 --hostname=sandbox --workdir=/work --env=HOME=/work --network=none --ipc=private --cgroupns=private
		--runtime=runc --log-driver=none --oom-score-adj=500 --shm-size=16 --memory=134217728 --memory-swap=134217728 --cpus=0.5 --pids-limit=64
		--read-only=true --tmpfs=/work:rw,size=1 --cap-drop=ALL --security-opt=no-new-privileges --security-opt=seccomp=sandbox/docker/seccomp/seccomp.json
		--ulimit=nofile=255:256 --init=false --no-healthcheck`)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

func TestADifferenceIsNamedAndAnEmptyFieldIsNone(t *testing.T) {
	of := func(host string) map[string]any {
		c, err := parseInspected(`{"HostConfig": ` + host + `}`)
		if err != nil {
			t.Fatal(err)
		}
		return c.HostConfig
	}
	a := of(`{"Memory": 128, "Binds": null, "Init": false, "Masked": ["/a", "/b"], "Only": "a"}`)
	b := of(`{"Memory": 128, "Binds": [], "Masked": ["/a"], "Dns": [], "Size": [0, 0], "Pids": 0, "Name": ""}`)
	if got, want := differences(a, b), []string{"Masked", "Only"}; !slices.Equal(got, want) {
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

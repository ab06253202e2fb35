package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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
		--read-only=true --tmpfs=/work:rw,size=1 --cap-drop=ALL --security-opt=no-new-privileges --security-opt=seccomp=sandbox/profile/seccomp/seccomp.json
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

// measured are the figures of a driver that is as good as promised.
func measured(driver string, warm, cycles float64) driverFigures {
	return driverFigures{
		Driver:    driver,
		Languages: []languageFigures{{Warm: summary{P50: warm}, DockerRun: summary{P50: 300}}, {Warm: summary{P50: 10}}},
		Cycles:    []loadFigures{{Workers: 2, PerSecond: cycles}, {Workers: 3, PerSecond: cycles / 2}},
		Large:     poolFigures{Together: 10 << 20},
	}
}

func TestAGoalIsMetAtItsBound(t *testing.T) {
	for name, test := range map[string]struct {
		drivers []driverFigures
		met     string
	}{
		"at the bounds":     {[]driverFigures{measured("docker", 10, 7.5), measured("oci:crun", 2.5, 45)}, "yyyyyyy"},
		"beyond the bounds": {[]driverFigures{measured("docker", 10.1, 7.5), measured("oci:crun", 2.6, 44.9)}, "nnynnny"},
		"without docker":    {[]driverFigures{measured("oci", 2.5, 45)}, "yyy"},
	} {
		r := report{Drivers: test.drivers}
		r.compare()
		var met string
		for _, g := range r.Goals {
			met += map[bool]string{true: "y", false: "n"}[g.Met]
		}
		if met != test.met {
			t.Errorf("%s: got %s, want %s: %+v", name, met, test.met, r.Goals)
		}
	}
}

func TestTheBestNumberOfWorkersIsCompared(t *testing.T) {
	r := report{Drivers: []driverFigures{measured("docker", 10, 5), measured("oci:crun", 2.5, 40)}}
	r.compare()
	for _, line := range r.Table {
		if line.What == "full cycles/s" && !(slices.Equal(line.Figures, []float64{5, 40}) && slices.Equal(line.Ratios, []float64{1, 8})) {
			t.Errorf("got %+v", line)
		}
	}
}

func TestDriversAreNamedWithOrWithoutARuntime(t *testing.T) {
	all, err := parseSubjects("docker,oci:crun")
	if err != nil || len(all) != 2 || all[0].name != "docker" || all[0].runtime != "" || all[1].name != "oci" || all[1].runtime != "crun" {
		t.Errorf("got %+v, %v", all, err)
	}
	for _, list := range []string{"", "docker,", "podman", "runc:oci"} {
		if _, err := parseSubjects(list); err == nil {
			t.Errorf("%q is accepted", list)
		}
	}
}

func TestTheMemoryCgroupIsThatOfTheVersionThatCounts(t *testing.T) {
	for text, want := range map[string]string{
		"0::/preheat/a\n": "/sys/fs/cgroup/preheat/a",
		"9:cpu,cpuacct:/c\n3:memory:/preheat/a\n0::/x\n": "/sys/fs/cgroup/memory/preheat/a",
		"": "",
	} {
		if got := memoryCgroup(text); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}

func TestALoadCountsWhatWasDoneAndEndsAtAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		do := func() (time.Duration, error) { time.Sleep(time.Second); return time.Second, nil }
		if f, err := load(t.Context(), 3, 9500*time.Millisecond, do); err != nil || f.PerSecond != 3 || f.Seconds != 10 || f.Each.N != 30 {
			t.Errorf("got %+v, %v", f, err)
		}
		refused := func() (time.Duration, error) { return 0, errRefused }
		if f, err := load(t.Context(), 1, time.Second, refused); err != nil || f.Refused != 20 || f.PerSecond != 0 {
			t.Errorf("got %+v, %v", f, err)
		}
		broken := errors.New("broken")
		start := time.Now()
		if _, err := load(t.Context(), 2, time.Hour, func() (time.Duration, error) { return 0, broken }); !errors.Is(err, broken) || time.Since(start) > time.Minute {
			t.Errorf("got %v", err)
		}
	})
}

func TestASandboxThatIsNowhereIsNotWeighed(t *testing.T) {
	for _, ids := range [][]string{nil, {"no-such-sandbox"}} {
		if w, err := weigh(ids); err == nil {
			t.Errorf("%q weigh %+v", ids, w)
		}
	}
}

package docker

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/preheat/preheat/sandbox"
	"github.com/preheat/preheat/sandbox/profile"
)

// createBody is what the driver asks the Engine for.
func createBody(t *testing.T, change func(*container.CreateRequest)) []byte {
	t.Helper()
	lang := sandbox.Language{
		Name: "python", Image: "preheat-python:latest", Command: []string{"python3", "main.py"}, Env: []string{"A=b"},
		Runtime: "runsc", Limits: sandbox.DefaultLimits(),
	}
	config, host := render(lang, "test", profile.FirstUser)
	request := container.CreateRequest{Config: config, HostConfig: host}
	change(&request)
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTheDriversOwnRequestsAreUnderstood(t *testing.T) {
	for _, cpus := range []float64{0.01, 0.1, 0.29, 0.3, 0.57, 1, 1.1, 7.77} {
		for _, onDemand := range []bool{false, true} {
			limits := sandbox.DefaultLimits()
			limits.CPUs, limits.Pids, limits.MemoryBytes, limits.WorkFiles = cpus, 77, 99<<20, 555
			lang := sandbox.Language{Name: "node", Image: "i", Command: []string{"node", "main.js"}, OnDemand: onDemand, Limits: limits}
			body, err := CreateRequest(lang, "test", profile.FirstUser+7)
			if err != nil {
				t.Fatal(err)
			}
			got, request, err := ParseCreate(body)
			if err != nil || !bytes.Equal(request, body) || got.Name != "node" || got.Image != "i" {
				t.Errorf("%v CPUs: got %+v, %v", cpus, got, err)
			}
		}
	}
}

func TestRequestsThatTheDriverWouldNotMakeAreRefused(t *testing.T) {
	for name, change := range map[string]func(*container.CreateRequest){
		"privileged":         func(r *container.CreateRequest) { r.HostConfig.Privileged = true },
		"a bind mount":       func(r *container.CreateRequest) { r.HostConfig.Binds = []string{"/:/host"} },
		"the host's network": func(r *container.CreateRequest) { r.HostConfig.NetworkMode = "host" },
		"the host's pids":    func(r *container.CreateRequest) { r.HostConfig.PidMode = "host" },
		"the host's ipc":     func(r *container.CreateRequest) { r.HostConfig.IpcMode = "host" },
		"the host's users":   func(r *container.CreateRequest) { r.HostConfig.UsernsMode = "host" },
		"a capability":       func(r *container.CreateRequest) { r.HostConfig.CapAdd = []string{"SYS_ADMIN"} },
		"no seccomp":         func(r *container.CreateRequest) { r.HostConfig.SecurityOpt[1] = "seccomp=unconfined" },
		"new privileges":     func(r *container.CreateRequest) { r.HostConfig.SecurityOpt = r.HostConfig.SecurityOpt[1:] },
		"a writable root":    func(r *container.CreateRequest) { r.HostConfig.ReadonlyRootfs = false },
		"nothing masked":     func(r *container.CreateRequest) { r.HostConfig.MaskedPaths = []string{} },
		"no memory limit":    func(r *container.CreateRequest) { r.HostConfig.Memory, r.HostConfig.MemorySwap = 0, 0 },
		"swap":               func(r *container.CreateRequest) { r.HostConfig.MemorySwap = -1 },
		"no pids limit":      func(r *container.CreateRequest) { r.HostConfig.PidsLimit = nil },
		"pids without end":   func(r *container.CreateRequest) { *r.HostConfig.PidsLimit = -1 },
		"no CPU limit":       func(r *container.CreateRequest) { r.HostConfig.NanoCPUs = 0 },
		"a device": func(r *container.CreateRequest) {
			r.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev/sda"}}
		},
		"another tmpfs":       func(r *container.CreateRequest) { r.HostConfig.Tmpfs["/etc"] = "rw" },
		"a tmpfs with suid":   func(r *container.CreateRequest) { r.HostConfig.Tmpfs[profile.WorkFolder] += ",suid" },
		"a ulimit":            func(r *container.CreateRequest) { r.HostConfig.Ulimits[0].Hard = -1 },
		"a parent cgroup":     func(r *container.CreateRequest) { r.HostConfig.CgroupParent = "/" },
		"a log":               func(r *container.CreateRequest) { r.HostConfig.LogConfig.Type = "json-file" },
		"a restart":           func(r *container.CreateRequest) { r.HostConfig.RestartPolicy.Name = "always" },
		"root":                func(r *container.CreateRequest) { r.User = "0:0" },
		"root's group":        func(r *container.CreateRequest) { r.User = "10000:0" },
		"a name for a user":   func(r *container.CreateRequest) { r.User = "root" },
		"another entry point": func(r *container.CreateRequest) { r.Entrypoint = []string{"/bin/sh"} },
		"another folder":      func(r *container.CreateRequest) { r.WorkingDir = "/" },
		"a volume":            func(r *container.CreateRequest) { r.Volumes = map[string]struct{}{"/v": {}} },
		"no instance":         func(r *container.CreateRequest) { delete(r.Labels, LabelInstance) },
		"another label":       func(r *container.CreateRequest) { r.Labels["a"] = "b" },
		"another home":        func(r *container.CreateRequest) { r.Env[0] = "HOME=/" },
		"no environment":      func(r *container.CreateRequest) { r.Env = nil },
		"a check of health":   func(r *container.CreateRequest) { r.Healthcheck = nil },
		"no host config":      func(r *container.CreateRequest) { r.HostConfig = nil },
		"no config":           func(r *container.CreateRequest) { r.Config = nil },
	} {
		if _, _, err := ParseCreate(createBody(t, change)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	// What the Engine would merge or read whatever its case.
	ours := string(createBody(t, func(*container.CreateRequest) {}))
	for _, body := range []string{
		strings.Replace(ours, `{`, `{"HostConfig":{"Annotations":{"a":"b"}},`, 1),
		strings.TrimSuffix(ours, "}") + `,"hostconfig":{"privileged":true}}`,
		strings.TrimSuffix(ours, "}") + `,"NetworkingConfig":{"EndpointsConfig":{"host":{}}}}`,
		`null`, `[]`, `{}`, ``,
	} {
		if _, _, err := ParseCreate([]byte(body)); err == nil {
			t.Errorf("%.60s… is accepted", body)
		}
	}
}

func TestOnlyTheMemoryLimitMayBeUpdated(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"Memory":67108864,"MemorySwap":67108864}`:                   true,
		`{"Memory":67108864,"MemorySwap":67108864,"CpuShares":0}`:     true,
		`{"Memory":67108864,"MemorySwap":-1}`:                         false,
		`{"Memory":-1,"MemorySwap":-1}`:                               false,
		`{"Memory":67108864,"MemorySwap":67108864,"PidsLimit":-1}`:    false,
		`{"Memory":1,"MemorySwap":1,"RestartPolicy":{"Name":"no"}}`:   false,
		`{"Memory":1,"MemorySwap":1,"DeviceCgroupRules":["a *:* m"]}`: false,
		`{}`: false,
		``:   false,
	} {
		if _, err := ParseUpdate([]byte(body)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzParseCreate(f *testing.F) {
	lang := sandbox.Language{Name: "python", Image: "i", Limits: sandbox.DefaultLimits()}
	body, err := CreateRequest(lang, "test", profile.FirstUser)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"HostConfig":{"Privileged":true,"PidsLimit":1,"Ulimits":[null,null,null]},"Labels":{"preheat.instance":"x"},"Env":["","","","",""]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, request, err := ParseCreate(body)
		if err != nil {
			return
		}
		if _, again, err := ParseCreate(request); err != nil || !bytes.Equal(again, request) {
			t.Errorf("what was accepted is not accepted again: %v", err)
		}
	})
}

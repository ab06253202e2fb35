package socketproxy

import (
	"regexp"
	"strings"
)

// call is one that the server makes, and so may make.
type call struct {
	method string
	path   string   // below the API's version; {id} is a container, {ref} an image
	query  []string // the parameters that may be there, each once
	check  check    // what else must hold
	why    string
}

// check is what must hold of a call beside its path and parameters.
type check int

const (
	nothing  check = iota
	filtered       // it asks for preheat's containers only
	image          // the image is preheat's, or not there
	ours           // the container is preheat's, or not there
	creates        // the body is that of a sandbox
	resizes        // the container is preheat's, and the body changes its memory limit
)

var calls = []call{
	{"HEAD", "/_ping", nil, nothing, "agree on the API's version"},
	{"GET", "/version", nil, nothing, "before events are asked for"},
	{"GET", "/info", nil, nothing, "what the engine is: memory, runtimes, cgroup version"},
	{"GET", "/events", []string{"filters", "since"}, filtered, "deaths and OOM kills"},
	{"GET", "/images/{ref}/json", nil, image, "is a language's image there and fresh"},
	{"GET", "/containers/json", []string{"all", "filters"}, filtered, "what an earlier server left, and what leaks"},
	{"POST", "/containers/create", []string{"name"}, creates, "launch a sandbox"},
	{"POST", "/containers/{id}/attach", []string{"stdin", "stdout", "stderr", "stream"}, ours, "the stream to the agent"},
	{"POST", "/containers/{id}/start", nil, ours, "launch a sandbox"},
	{"POST", "/containers/{id}/update", nil, resizes, "memory_mb of a run"},
	{"GET", "/containers/{id}/json", nil, ours, "why a sandbox ended"},
	{"DELETE", "/containers/{id}", []string{"force", "v"}, ours, "destroy a sandbox"},
}

// reference is what an image of preheat's may be called.
const reference = `[A-Za-z0-9][A-Za-z0-9_.:-]*`

// pattern is what the call's whole path matches; its group is the {id} or {ref}.
// A version below 1.41 is none: there a start may change what was created.
func (c call) pattern() *regexp.Regexp {
	version := `/v1\.(?:4[1-9]|[5-9][0-9])`
	if c.path == "/_ping" {
		version = ""
	}
	path := strings.NewReplacer("{id}", `([A-Za-z0-9][A-Za-z0-9_.-]*)`, "{ref}", `(`+reference+`)`).Replace(c.path)
	return regexp.MustCompile("^" + version + path + "$")
}

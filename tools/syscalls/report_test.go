package main

import (
	"strings"
	"testing"

	"github.com/preheat/preheat/sandbox/profile/seccomp"
)

func TestTheReportSaysWhatWasUsedAndWhatWasRefused(t *testing.T) {
	p, err := seccomp.Parse([]byte(`{"syscalls": [
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "files"},
		{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}], "comment": "sockets"},
		{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "comment": "threads"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	u := newUsage("hello")
	for _, text := range []string{
		"11    read(0x3, 0x7f5d, 0x1000)       = 0x5",
		"12    <... read resumed>)             = 0",
		"12    read(0x3, 0x7f5d, 0x1000 <unfinished ...>",
		"12    socket(0x2, 0x1, 0)             = 0x4",
		"12    clone3(0x7fff, 0x58)            = 0xd",
		"12    mount(0, 0, 0, 0, 0)            = -1 EPERM (Operation not permitted)",
		"12    +++ exited with 0 +++",
	} {
		u.add(p, text)
	}
	var out strings.Builder
	printReport(&out, p, []usage{u})
	for _, want := range []string{
		"hello: rules [0]; refused clone3() mount socket(0x2)\n",
		"refused, by call (3)\n",
		"  0: 1 programs; files\n     nothing used write\n",
		"  1: 0 programs; sockets\n     nothing used socket\n",
		"  2: 0 programs; threads\n\n",
		"1 programs, 3 rules, 3 calls allowed\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report:\n%s", want, out.String())
		}
	}
}

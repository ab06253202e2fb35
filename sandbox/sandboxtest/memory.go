package sandboxtest

import (
	"fmt"

	"github.com/preheat/preheat/sandbox"
)

// MemoryCase is a way in which a program comes to its end near the memory limit,
// and what that is.
type MemoryCase struct {
	Name, Language, Source string

	Want sandbox.Status
	Code int
}

// MemoryCases are all that there are.
var MemoryCases = []MemoryCase{
	{"one block", "python", "b = bytearray(10**9)", sandbox.OutOfMemory, 137},
	{"page by page", "python", "b = []\nwhile True: b.append(bytearray(1 << 16))", sandbox.OutOfMemory, 137},
	{"buffers of node", "node", "const b = []; for (;;) b.push(Buffer.alloc(1 << 20, 1))", sandbox.OutOfMemory, 137},
	{"the work folder filled", "python", fill("/work/x"), sandbox.OutOfMemory, 137},
	{"/dev/shm filled", "python", fill("/dev/shm/x"), sandbox.OutOfMemory, 137},
	{"a child, and the parent fails", "python", inChild + "sys.exit(p.returncode != 0)", sandbox.OutOfMemory, 1},
	{"a child, and the parent fails for another reason", "python", inChild + "import time; time.sleep(0.2)\nsys.exit(3)", sandbox.OutOfMemory, 3},
	{"a child, and the parent goes on", "python", inChild + "print(p.returncode)", sandbox.OK, 0},
	{TheAgent, "python", hitAgent, sandbox.OutOfMemory, 137},
	{"SIGKILL of itself", "python", "import os\nos.kill(os.getpid(), 9)", sandbox.Error, 137},
	{"SIGKILL of itself, nearly out of memory", "python", "import os\nb = bytearray(20 << 20)\nos.kill(os.getpid(), 9)", sandbox.Error, 137},
	{"SIGKILL of a child", "python", "import subprocess, sys\nsys.exit(-subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)", sandbox.Error, 9},
	{"MemoryError", "python", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\nb = bytearray(10**9)", sandbox.Error, 1},
}

// TheAgent is the case in which nobody is left to report.
const TheAgent = "the agent itself"

const inChild = "import subprocess, sys\np = subprocess.run([sys.executable, '-c', 'b = bytearray(10**9)'])\n"

// fill takes the memory away by a file in a tmpfs, with a block beside it: the
// tmpfs alone is smaller than the limit.
func fill(path string) string {
	return fmt.Sprintf("b = bytearray(28 << 20)\nf = open('%s', 'wb', 0)\nwhile True: f.write(bytes(1 << 16))", path)
}

// hitAgent makes the agent the largest process and no better protected than the
// others: it fills both tmpfs from a shell that is smaller.
const hitAgent = `import os
os.execv('/bin/sh', ['sh', '-c', '''
echo 500 >/proc/self/oom_score_adj
b=0123456789abcdef
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do b=$b$b; done
while :; do printf %s "$b" >>x || break; done
while :; do printf %s "$b" >>/dev/shm/x || break; done
'''])`

// Limit gives lang the memory that c is about.
func (c MemoryCase) Limit(lang *sandbox.Language) {
	if c.Language == "python" {
		lang.Limits.MemoryBytes, lang.Limits.WorkBytes, lang.Limits.ShmBytes = 48<<20, 32<<20, 32<<20
	}
}

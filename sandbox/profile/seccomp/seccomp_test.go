package seccomp

import (
	"slices"
	"testing"
)

func load(t *testing.T) Profile {
	t.Helper()
	p, err := Parse([]byte(JSON()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryRuleHasAReasonAndIsTheOnlyOneOfItsCalls(t *testing.T) {
	p := load(t)
	if p.DefaultAction != Errno {
		t.Errorf("the default is %s", p.DefaultAction)
	}
	plain := map[string]bool{}
	for i, r := range p.Syscalls {
		if r.Comment == "" || len(r.Names) == 0 {
			t.Errorf("rule %d has no reason or no name: %+v", i, r)
		}
		for _, name := range r.Names {
			// libseccomp lets a rule without arguments win over all others.
			if plain[name] || len(r.Args) == 0 && slices.ContainsFunc(p.Syscalls[:i], func(r Rule) bool { return slices.Contains(r.Names, name) }) {
				t.Errorf("rule %d: there is another for %s", i, name)
			}
			plain[name] = plain[name] || len(r.Args) == 0
		}
		for j, a := range r.Args {
			// Rules are an AND of their arguments, except that runc takes two of one index as an OR.
			if slices.ContainsFunc(r.Args[:j], func(b Arg) bool { return b.Index == a.Index }) {
				t.Errorf("rule %d compares argument %d twice", i, a.Index)
			}
		}
	}
}

func TestWhatPrivilegedCodeMayAskForIsNotAllowed(t *testing.T) {
	p := load(t)
	for _, name := range forbidden {
		for i, r := range p.Syscalls {
			if r.Action == Allow && slices.Contains(r.Names, name) {
				t.Errorf("rule %d allows %s", i, name)
			}
		}
	}
}

// forbidden are calls that no language gets, whatever its programs do.
var forbidden = []string{
	"_sysctl", "acct", "add_key", "adjtimex", "afs_syscall", "bpf", "capset", "chroot", "clock_adjtime",
	"clock_settime", "clone3", "create_module", "delete_module", "fanotify_init", "fanotify_mark", "finit_module",
	"fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "init_module", "io_cancel", "io_destroy",
	"io_getevents", "io_pgetevents", "io_setup", "io_submit", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl", "landlock_add_rule",
	"lookup_dcookie", "mbind", "memfd_secret", "migrate_pages", "modify_ldt", "mount", "mount_setattr",
	"move_mount", "move_pages", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend",
	"mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
	"open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_mrelease",
	"process_vm_readv", "process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd", "reboot",
	"remap_file_pages", "request_key", "seccomp", "semctl", "semget", "semop", "semtimedop", "set_mempolicy",
	"setdomainname", "setfsgid", "setfsuid", "setgid", "setgroups", "sethostname", "setns", "setregid",
	"setresgid", "setresuid", "setreuid", "settimeofday", "setuid", "shmat", "shmctl", "shmdt", "shmget", "splice",
	"swapoff", "swapon", "sync", "sysfs", "syslog", "tee", "umount", "umount2", "unshare", "uselib", "userfaultfd",
	"ustat", "vhangup", "vmsplice",
}

func TestRulesByArgument(t *testing.T) {
	p := load(t)
	for _, test := range []struct {
		what    string
		args    []uint64
		call    string
		allowed bool
	}{
		{"a Unix socket", []uint64{1}, "socket", true},
		{"an IP socket", []uint64{2}, "socket", false},
		{"an IP socket in the lower half of an argument", []uint64{1<<32 | 2}, "socket", false},
		{"a Unix socket in the lower half", []uint64{1<<32 | 1}, "socket", false},
		{"a pair", []uint64{1}, "socketpair", true},
		{"a TIPC pair", []uint64{30}, "socketpair", false},
		{"fork", []uint64{0x1200011}, "clone", true},
		{"a thread", []uint64{0x3d0f00}, "clone", true},
		{"a user namespace", []uint64{0x10000011}, "clone", false},
		{"a mount namespace", []uint64{0x20011}, "clone", false},
		{"clone3", nil, "clone3", false},
		{"isatty", []uint64{0, 0x5401}, "ioctl", true},
		{"typing into a terminal", []uint64{0, 0x5412}, "ioctl", false},
		{"typing into a terminal, the upper half set", []uint64{0, 1<<32 | 0x5412}, "ioctl", false},
		{"a line discipline", []uint64{0, 0x5423}, "ioctl", false},
		{"a thread's name", []uint64{15}, "prctl", true},
		{"speculation", []uint64{53}, "prctl", false},
		{"seccomp", []uint64{22}, "prctl", false},
		{"one's own limits", []uint64{0}, "prlimit64", true},
		{"the agent's limits", []uint64{1}, "prlimit64", false},
		{"a buffer's size", []uint64{9, 1, 7}, "setsockopt", true},
		{"a BPF filter", []uint64{9, 1, 26}, "setsockopt", false},
		{"a netfilter table", []uint64{9, 0, 64}, "setsockopt", false},
		{"a pipe", []uint64{0, 0, 0o10600}, "mknodat", true},
		{"a disk", []uint64{0, 0, 0o60600}, "mknodat", false},
		{"pages", []uint64{0, 4096, 3, 0x22}, "mmap", true},
		{"huge pages", []uint64{0, 4096, 3, 0x40022}, "mmap", false},
		{"no randomized addresses", []uint64{0x40000}, "personality", false},
	} {
		i := p.Match(test.call, test.args...)
		if allowed := i >= 0 && p.Syscalls[i].Action == Allow; allowed != test.allowed {
			t.Errorf("%s: %s%v meets rule %d; allowed is %t", test.what, test.call, test.args, i, allowed)
		}
	}
}

func TestAProfileWithUnknownPartsIsRefused(t *testing.T) {
	for _, text := range []string{
		`{`,
		`{"syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL"}]}`,
		`{"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"op": "SCMP_CMP_GT"}]}]}`,
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

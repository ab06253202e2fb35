"""What the attacks share: how they make system calls and say what came of it."""
import ctypes
import errno
import platform
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# Numbers on x86-64 and on 64-bit ARM, from the kernel's tables.
NUMBERS = {
    'acct': (163, 89), 'add_key': (248, 217), 'adjtimex': (159, 171), 'bpf': (321, 280),
    'capset': (126, 91), 'chroot': (161, 51), 'clock_adjtime': (305, 266),
    'clock_settime': (227, 112), 'clone': (56, 220), 'clone3': (435, 435),
    'delete_module': (176, 106), 'execveat': (322, 281), 'fanotify_init': (300, 262),
    'finit_module': (313, 273), 'fsopen': (430, 430), 'init_module': (175, 105),
    'io_uring_setup': (425, 425), 'ioperm': (173, None), 'iopl': (172, None), 'kcmp': (312, 272),
    'kexec_file_load': (320, 294), 'kexec_load': (246, 104), 'keyctl': (250, 219),
    'mbind': (237, 235), 'memfd_create': (319, 279), 'memfd_secret': (447, 447),
    'migrate_pages': (256, 238), 'mknodat': (259, 33), 'modify_ldt': (154, None),
    'mount': (165, 40), 'mount_setattr': (442, 442), 'move_mount': (429, 429),
    'move_pages': (279, 239), 'mq_open': (240, 180), 'msgget': (68, 186),
    'name_to_handle_at': (303, 264), 'open_by_handle_at': (304, 265), 'open_tree': (428, 428),
    'perf_event_open': (298, 241), 'personality': (135, 92), 'pidfd_getfd': (438, 438),
    'pidfd_open': (434, 434), 'pidfd_send_signal': (424, 424), 'pivot_root': (155, 41),
    'prlimit64': (302, 261), 'process_madvise': (440, 440), 'process_vm_readv': (310, 270),
    'process_vm_writev': (311, 271), 'ptrace': (101, 117), 'quotactl': (179, 60),
    'reboot': (169, 142), 'request_key': (249, 218), 'semget': (64, 190), 'setdomainname': (171, 162),
    'sethostname': (170, 161), 'setns': (308, 268), 'settimeofday': (164, 170), 'shmat': (30, 196),
    'shmget': (29, 194), 'swapoff': (168, 225), 'swapon': (167, 224), 'syslog': (103, 116),
    'umount2': (166, 39), 'unshare': (272, 97), 'userfaultfd': (323, 282), 'vhangup': (153, 58),
    'vmsplice': (278, 75),
}


def syscall(name, *args):
    """Make a system call and return its result, or raise OSError."""
    number = NUMBERS[name][platform.machine() == 'aarch64']
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, errno.errorcode[code])
    return result


def report(attempt, live=()):
    """Print what comes of attempt. An error in live shows that it got through to
    the kernel's own check of arguments that cannot do harm."""
    try:
        what = attempt()
    except OSError as e:
        name = errno.errorcode.get(e.errno, str(e))
        print('ESCAPED' if name in live else 'CONTAINED', name)
    else:
        print(f'ESCAPED {what}' if isinstance(what, str) else 'ESCAPED')


def listener():
    """Return the address at which the host listens."""
    host, port = sys.argv[1].rsplit(':', 1)
    return host, int(port)


def report_all(attempts, means=()):
    """Report several attempts in one line: those that escaped, or else how all
    were contained. Those that are only means escape nothing by themselves."""
    escaped, contained = [], {}
    for name, attempt in attempts.items():
        try:
            attempt()
            escaped.append(name)
        except OSError as e:
            contained[name] = errno.errorcode.get(e.errno, str(e))
    kinds = set(contained.values())
    if set(escaped).difference(means):
        print('ESCAPED', *escaped)
    elif not escaped and len(kinds) == 1:
        print('CONTAINED', *kinds)
    else:
        spite = ['in spite of', *escaped] if escaped else []
        print('CONTAINED', *(f'{name}:{kind}' for name, kind in contained.items()), *spite)


def leak(path, tells=bool):
    """Report whether path can be read and tells anything."""
    try:
        with open(path, 'rb') as f:
            data = f.read(1 << 16)
    except OSError as e:
        print('CONTAINED', errno.errorcode[e.errno])
    else:
        print('ESCAPED' if tells(data) else 'CONTAINED it tells nothing')


def rewrite(path):
    """Write what a file says back to it."""
    with open(path, 'rb') as f:
        value = f.read()
    with open(path, 'wb', 0) as f:
        f.write(value)

"""What the standard library offers of the kernel, the unusual included."""
import ctypes, fcntl, mmap, os, resource, select, signal, socket, sqlite3, sys, tempfile, threading, time


def attempt(function, *args):
    try:
        return function(*args)
    except (OSError, AttributeError) as error:
        print(function.__name__, args, error)


with open("f", "wb+") as f:
    f.write(b"x" * 100_000)
    f.flush()
    for call in (os.fsync, os.fdatasync, os.fstatvfs, os.fpathconf):
        attempt(call, f.fileno(), *(["PC_NAME_MAX"] if call is os.fpathconf else []))
    attempt(os.posix_fallocate, f.fileno(), 0, 200_000)
    attempt(os.posix_fadvise, f.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
    attempt(os.preadv, f.fileno(), [bytearray(10)], 0)
    attempt(os.pwritev, f.fileno(), [b"abc"], 0)
    with open("g", "wb") as g:
        attempt(os.sendfile, g.fileno(), f.fileno(), 0, 10)
        attempt(os.copy_file_range, f.fileno(), g.fileno(), 10)
    fcntl.flock(f, fcntl.LOCK_EX)
    fcntl.lockf(f, fcntl.LOCK_UN)
    with mmap.mmap(f.fileno(), 0) as m:
        m[:3] = b"abc"
        m.flush()
        m.madvise(mmap.MADV_SEQUENTIAL)
        attempt(m.resize, 300_000)
r, w = os.pipe2(os.O_NONBLOCK)
with open("f", "rb") as f:
    attempt(os.splice, f.fileno(), w, 10)
for call, *args in (
    (os.memfd_create, "m"), (os.eventfd, 1), (os.pidfd_open, os.getpid()), (os.getxattr, "f", "user.a"),
    (os.setxattr, "f", "user.a", b"1"), (os.listxattr, "f"), (os.sched_getaffinity, 0), (os.sched_setaffinity, 0, {0}),
    (os.sched_getscheduler, 0), (os.sched_yield,), (os.nice, 1), (os.getpriority, os.PRIO_PROCESS, 0), (os.getloadavg,),
    (os.statvfs, "."), (os.mkfifo, "p"), (os.link, "f", "h"), (os.symlink, "f", "s"), (os.chown, "f", -1, -1),
    (os.utime, "f", (1, 1)), (os.truncate, "f", 10), (os.lchown, "s", -1, -1), (os.getgroups,), (os.getresuid,),
    (os.getsid, 0), (os.getpgid, 0), (os.times,), (os.umask, 0o22), (os.ctermid,), (os.openpty,), (os.getrandom, 8),
    (os.chroot, "/"), (os.mknod, "n"), (os.sync,), (os.initgroups, "x", 1), (os.setuid, os.getuid()),
    (os.setgid, os.getgid()), (os.setpriority, os.PRIO_PROCESS, 0, 2), (os.uname,), (os.cpu_count,), (os.get_terminal_size,),
    (resource.getrusage, resource.RUSAGE_CHILDREN), (resource.prlimit, 0, resource.RLIMIT_NOFILE),
    (signal.setitimer, signal.ITIMER_VIRTUAL, 100), (signal.getitimer, signal.ITIMER_REAL), (signal.sigpending,),
    (signal.pthread_sigmask, signal.SIG_BLOCK, [signal.SIGUSR1]), (signal.pthread_kill, threading.get_ident(), signal.SIGUSR1),
    (signal.sigtimedwait, [signal.SIGUSR1], 1), (signal.siginterrupt, signal.SIGUSR2, False),
    (time.clock_getres, time.CLOCK_MONOTONIC), (time.clock_gettime, time.CLOCK_PROCESS_CPUTIME_ID),
    (time.clock_settime, time.CLOCK_REALTIME, 0), (time.thread_time,),
):
    attempt(call, *args)
epoll = select.epoll()
epoll.register(r, select.EPOLLIN)
epoll.poll(0)
select.select([r], [], [], 0)
select.poll().poll(0)
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_UNIX):
    attempt(socket.socket, family, socket.SOCK_STREAM if family != socket.AF_NETLINK else socket.SOCK_RAW)
a, b = socket.socketpair()
a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
socket.send_fds(a, [b"fd"], [r])
print(socket.recv_fds(b, 10, 1)[0], b.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:0])
a.shutdown(socket.SHUT_WR)
attempt(socket.getaddrinfo, "localhost", 80)
with sqlite3.connect("db") as db:
    db.execute("pragma journal_mode=wal")
    db.execute("create table t (a)")
    db.executemany("insert into t values (?)", [(i,) for i in range(1000)])
db.close()
with tempfile.TemporaryFile() as t:
    t.write(b"x")
pid, fd = os.forkpty()
if pid == 0:
    os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED)
pid = os.posix_spawn("/bin/true", ["true"], os.environ, setsigmask=[])
os.wait4(pid, 0)
libc = ctypes.CDLL(None)
for number, value in ((15, b"name"), (16, ctypes.create_string_buffer(16)), (1, 9), (2, 0), (3, 0), (4, 0), (38, 1), (36, 1)):
    libc.prctl(number, value, 0, 0, 0)
threading.Thread(target=time.sleep, args=(0.01,), name="named").start()
sys.stdout.flush()

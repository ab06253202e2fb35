import os
import signal

signal.signal(signal.SIGCHLD, lambda *a: print("child ended"))
pid = os.fork()
if pid == 0:
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

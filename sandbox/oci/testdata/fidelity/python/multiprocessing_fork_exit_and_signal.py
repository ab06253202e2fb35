import multiprocessing
import os
import signal
import sys


def leave():
    sys.exit(5)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


for target in (leave, die):
    p = multiprocessing.Process(target=target)
    p.start()
    p.join()
    print(p.exitcode)

import multiprocessing
import sys


def work(q, n):
    q.put((n, __name__, sys.argv, multiprocessing.current_process().name, sys.path[0]))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    q = context.Queue()
    p = context.Process(target=work, args=(q, 1))
    p.start()
    print(q.get())
    p.join()
    print(p.exitcode)

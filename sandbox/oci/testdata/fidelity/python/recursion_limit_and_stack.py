import sys
import threading

sys.setrecursionlimit(5000)
threading.stack_size(16 << 20)


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


t = threading.Thread(target=lambda: print(depth(4000)))
t.start()
t.join()
print(depth(2000))

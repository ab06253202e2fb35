import gc

print(gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks, gc.garbage)


class Node:
    pass


for _ in range(10):
    n = Node()
    n.me = n
del n
print(gc.collect() >= 10, gc.collect())

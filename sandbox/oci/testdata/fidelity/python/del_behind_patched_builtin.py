import math
import random
import time


class Noisy:
    def __del__(self):
        print("del")


time.sleep = lambda seconds: None
random.random = lambda: 0.5
math.mine = [lambda: None]
n = Noisy()
out = open(1, "w", closefd=False)
out.write("flushed\n")
print(time.sleep(100), random.random())

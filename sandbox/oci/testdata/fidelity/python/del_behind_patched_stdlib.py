import random
import warnings


class Noisy:
    def __del__(self):
        print("del")


def show(*args):
    print("shown", args[0])


warnings.showwarning = show
random.helper = lambda: None
n = Noisy()
warnings.warn("look")
print("end of main")

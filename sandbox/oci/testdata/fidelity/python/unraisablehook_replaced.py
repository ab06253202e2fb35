import sys


def hook(u):
    print("unraisable:", u.exc_type.__name__, u.err_msg, u.object)


sys.unraisablehook = hook


class Noisy:
    def __del__(self):
        raise ValueError("x")

    def __repr__(self):
        return "noisy"


Noisy()
n = Noisy()

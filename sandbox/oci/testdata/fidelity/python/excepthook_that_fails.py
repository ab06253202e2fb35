import sys


def hook(kind, value, tb):
    raise TypeError("in the hook")


sys.excepthook = hook
raise ValueError("the first")

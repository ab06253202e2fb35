import sys


def trace(frame, event, arg):
    print(event, frame.f_code.co_name, frame.f_lineno)
    return trace


def f():
    return 1


sys.settrace(trace)
f()
sys.settrace(None)
sys.setprofile(lambda frame, event, arg: None)
print(sys.getprofile() is not None)

import contextlib


@contextlib.contextmanager
def session():
    print("enter")
    try:
        yield 1
    finally:
        print("leave")


c = session()
c.__enter__()

class A:
    def __init__(self):
        self.other = None

    def __del__(self):
        raise RuntimeError("in a cycle")


a, b = A(), A()
a.other, b.other = b, a
del a, b
print("end of main")

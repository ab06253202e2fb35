class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("del", self.name)


b = Noisy("b")
a = Noisy("a")
_private = Noisy("_private")
holder = [Noisy("in a list"), {"k": Noisy("in a dict")}]
print("end of main")

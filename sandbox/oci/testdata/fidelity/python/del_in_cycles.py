class Noisy:
    def __init__(self, name):
        self.name = name
        self.me = self

    def __del__(self):
        print("del", self.name)


a = Noisy("global cycle")
b = Noisy("dropped cycle")
del b
print("end of main")

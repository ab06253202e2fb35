class Noisy:
    def __init__(self, modules):
        self.modules = modules

    def __del__(self):
        for name in self.modules:
            try:
                module = __import__(name)
                print(name, module.__name__)
            except BaseException as e:
                print(name, repr(e))


import json

n = Noisy(["json", "os", "sys", "time", "posix", "wave", "random"])

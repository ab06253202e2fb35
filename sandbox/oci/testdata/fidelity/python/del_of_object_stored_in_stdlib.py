import collections
import json


class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("del", self.name)


json.noisy = Noisy("in json")
collections.noisy = Noisy("in collections")
print("end of main")

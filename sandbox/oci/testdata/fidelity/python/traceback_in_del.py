class Noisy:
    def __del__(self):
        raise ValueError("in __del__")


n = Noisy()
del n
print("after")

class Noisy:
    def __del__(self):
        raise ValueError("in __del__ at exit")


n = Noisy()
print("end of main")

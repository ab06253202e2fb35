import warnings


class Noisy:
    def __del__(self):
        warnings.warn("in __del__", DeprecationWarning)
        warnings.warn("a user warning")


n = Noisy()

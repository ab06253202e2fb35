"""
>>> double(2)
4
>>> double(3)
7
"""
import doctest


def double(x):
    return 2 * x


print(doctest.testmod())

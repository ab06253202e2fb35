import sys

x = 1
print(x is 1)
print("\d")
assert (x, "always true")
open("main.py")
sys.stdout.flush()

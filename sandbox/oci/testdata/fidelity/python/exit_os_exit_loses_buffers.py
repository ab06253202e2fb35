import os

f = open(1, "w", closefd=False)
f.write("lost")
os._exit(0)

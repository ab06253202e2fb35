import os
import sys

for i in range(3):
    print("out", i)
    print("err", i, file=sys.stderr)
    os.write(1, b"raw\n")
    sys.stdout.write("no newline ")
    os.system("echo from the shell")

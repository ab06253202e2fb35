import sys

sys.stdout.buffer.write(b"\xff\xfe ok \x80\n")
sys.stderr.buffer.write(b"\xc3\x28\n")
print("\udcff surrogate")
print("\ud800")

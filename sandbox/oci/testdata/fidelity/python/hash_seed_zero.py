import sys

print(hash("a"), hash(b"b"), list({"x", "y", "z", "w"}), sys.flags.hash_randomization, sys.argv)

import sys

print(hash(1), hash(2**61), hash(1.5), hash((1, 2)), hash(None) != 0, sys.hash_info, sys.flags.hash_randomization)
print(hash("a") == hash("a"))

import collections

print(collections.__file__)

import sys

data = sys.stdin.read()
print(len(data), sum(map(int, data.split())))

import argparse

p = argparse.ArgumentParser()
p.add_argument("--count", type=int, default=1)
p.add_argument("name")
print(p.parse_args())

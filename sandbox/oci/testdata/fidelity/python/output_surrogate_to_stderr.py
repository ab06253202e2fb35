import sys

print("\ud800 goes out escaped", file=sys.stderr)
raise ValueError("\udcff")

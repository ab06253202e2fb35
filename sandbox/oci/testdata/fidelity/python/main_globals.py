import sys

print(sorted(globals()))
print(__name__, __file__, __doc__, __package__, __spec__, __loader__.__class__, __builtins__)
print(sys.modules["__main__"].__dict__ is globals(), __annotations__)
print(list(vars(sys.modules["__main__"])))

try:
    x = "a" * (1 << 62)
except (MemoryError, OverflowError) as e:
    print(repr(e))

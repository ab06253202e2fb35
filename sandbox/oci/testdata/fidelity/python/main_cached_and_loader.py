import __main__

print(__main__.__loader__.path, __main__.__loader__.name)
print(__main__.__loader__.get_source("__main__") == open(__file__).read())
print("__cached__" in globals(), globals().get("__cached__"))
print(repr(__main__))

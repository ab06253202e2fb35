import atexit

atexit.register(print, "first registered")
atexit.register(print, "second registered")
atexit.unregister(len)
atexit.register(lambda: atexit.register(print, "registered at exit"))
print("end of main")

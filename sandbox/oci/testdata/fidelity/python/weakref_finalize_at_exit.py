import weakref


class Thing:
    pass


t = Thing()
weakref.finalize(t, print, "finalized at exit")
u = Thing()
weakref.finalize(u, print, "finalized on del")
f = weakref.finalize(t, print, "not at exit")
f.atexit = False
del u
r = weakref.ref(t, lambda _: print("weakref callback"))
print("end of main", weakref.getweakrefcount(t))

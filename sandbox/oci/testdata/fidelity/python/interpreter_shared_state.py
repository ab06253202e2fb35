import contextvars
import functools
import re
import sys
import threading

print(len(contextvars.copy_context()), re.compile("a") is re.compile("a"))
print(functools.lru_cache(lambda: 1).cache_info(), threading.get_ident() == threading.main_thread().ident)
print(sys.getallocatedblocks() > 0, sys.getswitchinterval(), threading._dangling is not None)
print(threading.Thread().name, [t.name for t in threading.enumerate()])

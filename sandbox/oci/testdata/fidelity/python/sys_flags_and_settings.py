import sys

print(sys.flags)
print(sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.pycache_prefix)
print(sys.getswitchinterval(), sys.get_int_max_str_digits(), sys.getfilesystemencoding())
print(sys.gettrace(), sys.getprofile(), sys.get_asyncgen_hooks(), sys.getdlopenflags())
print(sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__)
print(hasattr(sys, "ps1"), hasattr(sys, "last_value"), sys.is_finalizing())
print(sorted(n for n in dir(sys)))

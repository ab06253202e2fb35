import atexit
import os
import sys

atexit.register(print, "never")
sys.stdout.write("written unbuffered")
os._exit(11)

import runpy
import sys

print(sorted(runpy.run_path("other.py", run_name="here")["seen"]))
runpy.run_module("other", run_name="__main__", alter_sys=True)

import faulthandler
import sys

faulthandler.dump_traceback(file=sys.stdout, all_threads=False)
print(faulthandler.is_enabled())

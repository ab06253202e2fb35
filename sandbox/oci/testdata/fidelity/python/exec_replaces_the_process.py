import os
import sys

os.execv(sys.executable, ["python3", "-c", "import sys; print('new', sys.argv, sorted(sys.flags)); sys.exit(3)", "a"])

import subprocess
import sys

p = subprocess.run([sys.executable, "-c", "import sys; print(sys.argv, sys.path[0], input()); sys.exit(4)", "a"],
                   input="text\n", capture_output=True, text=True)
print(p)
print(subprocess.run([sys.executable, "child.py"]).returncode)

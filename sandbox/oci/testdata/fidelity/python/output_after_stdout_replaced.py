import contextlib
import io
import sys

real = sys.stdout
sys.stdout = io.StringIO()
print("captured")
text = sys.stdout.getvalue()
sys.stdout = real
with contextlib.redirect_stdout(sys.stderr):
    print("to stderr", text)
sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-16")
print("in another encoding, flushed at exit")

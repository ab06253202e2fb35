import getpass
import os
import tempfile

print(tempfile.gettempdir(), getpass.getuser())
with tempfile.NamedTemporaryFile("w+", suffix=".x") as f:
    print(os.path.dirname(f.name), oct(os.stat(f.name).st_mode))
left = tempfile.TemporaryDirectory()
print(os.path.isdir(left.name))

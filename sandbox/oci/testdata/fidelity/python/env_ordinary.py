import os

for name in sorted(os.environ):
    print(name, "=", os.environ[name])
print(os.environb[b"NAME"], os.getenv("nothing"), os.path.expandvars("$NAME/x"), os.path.expanduser("~"))

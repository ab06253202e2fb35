import sys


class Code:
    def __str__(self):
        return "an object as the code"


try:
    sys.exit(True)
except SystemExit as e:
    print(repr(e.code))
sys.exit(Code())

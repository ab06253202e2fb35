import inspect
import sys


def where():
    return [(f.filename, f.lineno, f.function, f.code_context) for f in inspect.stack()]


print(where())
print(sys._getframe().f_back)
print(inspect.getsource(where))
print(inspect.getfile(where), inspect.getmodule(where))

import importlib
import json
import sys

again = importlib.reload(json)
print(again is json, json.__spec__.name, json.__cached__ is not None)
del sys.modules["json"]
import json as fresh

print(fresh is again)
print(importlib.util.find_spec("json").origin)

import json


def default(self, o):
    return str(o)


json.JSONEncoder.default = default
out = open(1, "w", closefd=False)
out.write(json.dumps({"a": {1}.__class__}) + "\n")

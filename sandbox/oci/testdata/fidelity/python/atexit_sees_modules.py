import atexit
import sys


@atexit.register
def look():
    import base64
    import json
    import wave

    print(json.dumps([1]), base64.b64encode(b"x"), wave.__name__)
    print("json" in sys.modules, "os" in sys.modules, sys.modules["os"].__name__, type(sys.modules["json"]))

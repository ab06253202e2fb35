import datetime
import json
import logging
import os
import sys
import threading


class Noisy:
    def __del__(self):
        print(json.dumps({"a": 1}), os.getcwd(), sys.argv, datetime.date(2024, 1, 2))
        logging.warning("logged in __del__")
        print(threading.current_thread().name, sys.is_finalizing(), sys.modules is not None)
        with open("main.py") as f:
            print(f.readline(), end="")


n = Noisy()

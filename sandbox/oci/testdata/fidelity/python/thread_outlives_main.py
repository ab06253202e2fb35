import threading
import time


def late():
    time.sleep(0.1)
    print("the thread ends after main")


threading.Thread(target=late).start()
print("end of main")

import atexit
import threading


@atexit.register
def late():
    t = threading.Thread(target=print, args=("from a thread at exit",))
    t.start()
    t.join()

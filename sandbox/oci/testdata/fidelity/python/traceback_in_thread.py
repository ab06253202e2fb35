import threading


def work():
    raise ValueError("in a thread")


t = threading.Thread(target=work)
t.start()
t.join()
print("main goes on")

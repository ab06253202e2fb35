import threading


def hook(args):
    print("hook:", args.exc_type.__name__, args.exc_value, args.thread.name)


threading.excepthook = hook
t = threading.Thread(target=lambda: 1 / 0, name="divider")
t.start()
t.join()


class Last:
    def __del__(self):
        print("thread local freed")


local = threading.local()
local.x = Last()
print("end of main")

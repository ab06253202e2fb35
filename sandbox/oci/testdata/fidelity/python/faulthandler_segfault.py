import faulthandler

faulthandler.enable()


def crash():
    faulthandler._sigsegv()


crash()

import traceback


def outer():
    traceback.print_stack()
    print(len(traceback.extract_stack()))


outer()

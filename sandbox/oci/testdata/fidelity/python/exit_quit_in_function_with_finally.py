def f():
    try:
        quit("bye")
    finally:
        print("finally")


f()

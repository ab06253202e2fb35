def numbers():
    try:
        yield 1
        yield 2
    finally:
        print("generator finally")


g = numbers()
print(next(g))

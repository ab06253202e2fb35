import other

print("main is", __name__)
value = 1

class Point:
    length = 1


e = AttributeError("x")
try:
    Point().lenght
except AttributeError as caught:
    caught.add_note("a note")
    raise

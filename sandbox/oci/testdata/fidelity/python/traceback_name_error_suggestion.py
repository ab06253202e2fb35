import random

value = 1
print(valeu)

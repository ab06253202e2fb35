import os

print(os.read(0, 100))
print(os.read(0, 100))

import random

print(random.choice([1]), random.__file__)
import tempfile

print(tempfile.__name__)

import random
import uuid

random.seed(7)
print([random.randrange(100) for _ in range(5)], random.gauss(0, 1))
print(random.Random("text").random(), random.sample(range(9), 3))
print(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), uuid.UUID(int=random.getrandbits(128), version=4))

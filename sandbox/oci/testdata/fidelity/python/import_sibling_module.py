import helper
from package.sub import value
import package

print(helper.__file__, helper.__name__, helper.__spec__, value, package.__path__)
print(helper.main_name())
import os

print(sorted(os.listdir("."))[0], sorted(os.listdir("package")))

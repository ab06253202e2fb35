import code
import sys

code.InteractiveConsole({"x": 1}).interact(banner="hi", exitmsg="bye")
print(hasattr(sys, "ps1"))

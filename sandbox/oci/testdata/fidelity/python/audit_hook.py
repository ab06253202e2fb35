import sys

seen = []
sys.addaudithook(lambda name, args: seen.append(name))
open("main.py").close()
exec("1")
print(sorted(set(seen) & {"open", "exec", "compile"}))

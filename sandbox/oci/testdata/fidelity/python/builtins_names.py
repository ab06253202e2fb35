import builtins

print(sorted(vars(builtins)))
print("_" in vars(builtins), copyright, type(exit))

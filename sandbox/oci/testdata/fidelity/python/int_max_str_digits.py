import sys

print(sys.get_int_max_str_digits(), len(str(10**4299)))
print(10**4300)

import sys
import warnings

print(sys.flags)
print(sys.warnoptions, warnings.filters[0])
print(sys.get_int_max_str_digits())

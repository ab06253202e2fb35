import warnings


def old():
    warnings.warn("old() is deprecated", DeprecationWarning, stacklevel=2)


old()
warnings.warn("plain")
warnings.warn("too far", stacklevel=9)
print(len(warnings.filters), warnings.filters)

import sys

print([n for n in sys.modules if "custom" in n])
print([p for p in sys.path_importer_cache if p.startswith(("/app", "/work"))])
try:
    import sitecustomize
except ImportError as e:
    print(repr(e), e.name, e.path)

import site
import sys

print(sys.path)
print(sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable, sys.platlibdir)
print(site.ENABLE_USER_SITE, site.USER_SITE, site.getsitepackages())
print(sys.path_hooks)
print(sys.meta_path)

import sys

print([p for p in sys.path if p.startswith("/work")])
import from_user_site

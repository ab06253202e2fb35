"""The docstring."""
from __future__ import annotations

x: NoSuchName = 1
print(__doc__, __annotations__)

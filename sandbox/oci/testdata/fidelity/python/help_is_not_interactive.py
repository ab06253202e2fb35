def documented(a, b: int = 2) -> str:
    """What it does."""


help(documented)
help("keywords")
import pydoc

print(pydoc.render_doc(documented, renderer=pydoc.plaintext))

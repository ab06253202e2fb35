"""Warm-up of the Python interpreter.

The agent starts the real command, `python3 -u main.py`, with this file where
the site module looks for sitecustomize: after the interpreter is up and before
it opens main.py. Here it tells the agent that it is up, loads what programs
commonly import for as long as the agent lets it, and waits. When the agent lets
it go, main.py exists, and Python runs it as it always does: no frame, name or
exit path is ours.
"""

import sys


# What programs commonly import, in the order of how common it is for its cost,
# as a program would: what a module needs for itself it loads itself. All of them
# take 6 MiB of an idle sandbox.
PRELOAD = """
    types operator collections functools re json enum math itertools time random string heapq
    datetime typing copy contextlib inspect dataclasses bisect traceback threading
    urllib.parse pathlib decimal fractions struct array base64 hashlib textwrap shutil csv
    statistics queue unicodedata warnings weakref
""".split()


def warm():
    import atexit
    import os

    # Registered first, so it runs last.
    preloaded = {}
    atexit.register(drop, preloaded)

    folder = os.path.dirname(__file__)
    del os.environ["PYTHONPATH"]
    sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    import_hidden()
    rehearse()

    os.write(3, b"R")
    # An interpreter that is let go early has so little to tear down that this is
    # left to it, as ever.
    complete = preload()
    if complete:
        freeze(preloaded)

    words = []
    while part := os.read(3, 65536):
        words.append(part)
    os.close(3)
    if not words:
        os._exit(0)  # the agent has gone
    header = decode(b"".join(words))
    args, env, entry = header.get("args", []), header.get("env", {}), header.get("entry")
    watch_figures()
    loaded = sys.modules.copy()
    for name in ("sys", "builtins", "__main__", "sitecustomize"):
        loaded.pop(name, None)
    if entry or needs_cold_start(env, loaded, os.listdir()):
        command = [*sys.orig_argv[:-1], entry or sys.orig_argv[-1]]
        os.execve(sys.executable, [*command, *args], {**os.environ, **env})
    if complete:
        preloaded.update(loaded)
    sys.argv += args
    sys.orig_argv += args
    os.environ.update(env)


def preload():
    """Load what programs commonly import, until the agent has said or closed
    something: the program imports the rest itself, as ever. Tell whether it was
    all."""
    import select

    for name in PRELOAD:
        if select.select((3,), (), (), 0)[0]:
            return False
        __import__(name)
    return True


def freeze(preloaded):
    """Keep the garbage collector from what there is, preloaded included."""
    import gc

    preloaded[""] = preloaded  # in a cycle with itself: never freed
    # A frozen dict is never found to be garbage, and one that holds nothing is
    # not frozen.
    main = vars(sys.modules["__main__"])
    kept = main.copy()
    main.clear()
    gc.collect()
    gc.freeze()
    main.update(kept)


def decode(words):
    """Read what the agent says. It seldom says anything, and json is dear."""
    if words == b"{}":
        return {}
    import json

    return json.loads(words)


def rehearse():
    """Run what every program runs once, so that its pages are in memory."""
    source = (
        "import os.path\n"
        "class A:\n"
        "    def f(self, *a, **k):\n"
        "        return [f'{x!r:>3}' for x in a if x] + sorted(k.items())\n"
        "try:\n"
        "    A().f(1, b=2)\n"
        "    raise ValueError('x')\n"
        "except ValueError:\n"
        "    pass\n"
        "with open('/dev/null', 'w') as null:\n"
        "    print(2 + 2, file=null, flush=True)\n"
    )
    exec(compile(source, "main.py", "exec"), {"__name__": "rehearsal"})


# What the interpreter reads once, when it starts.
STARTUP = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_", "GLIBC_", "OPENSSL_", "PATH", "HOME")


def needs_cold_start(env, loaded, files):
    """Tell whether a warm interpreter would differ from a new one: a variable
    comes too late, or a file of the program hides a module that is loaded, or
    is in the user's site-packages."""
    return any(name.startswith(STARTUP) for name in env) or any(
        name == ".local" or name.partition(".")[0] in loaded for name in files
    )


def import_hidden():
    """Import the image's own sitecustomize, which this file hides."""
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        pass


def watch_figures():
    """Have keep_figures called before what atexit has, where there is a matplotlib:
    it needs threading, which is dear."""
    import os

    if any(os.path.exists(os.path.join(folder, "matplotlib")) for folder in ("", *sys.path)):
        import threading

        threading._register_atexit(keep_figures, os.getcwd(), os.getpid())


def keep_figures(work, pid):
    """Have the figures saved that a program has left open, once its threads have
    ended and before matplotlib closes them."""
    import atexit
    import os

    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and os.getpid() == pid:
        atexit.register(save_figures, pyplot, work)


def save_figures(pyplot, work):
    """Save every open figure as if the program had asked. It must not see that:
    nothing is printed, raised or overwritten."""
    import os

    streams = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = None
    try:
        for n, number in enumerate(pyplot.get_fignums(), 1):
            path = os.path.join(work, f"figure-{n}.png")
            if not os.path.lexists(path):
                pyplot.figure(number).savefig(path)
    except BaseException:
        pass
    finally:
        sys.stdout, sys.stderr = streams


def drop(preloaded):
    """Take what was preloaded out of the interpreter's teardown.

    The program cannot tell whether the standard library is torn down, and it
    costs half a run. Its own modules are torn down as ever, unless something
    preloaded holds on to them, such as a patched class: each is given a token,
    and when that is still alive near the end, what was preloaded goes too.
    """
    if not preloaded:
        return
    import gc
    import os
    from _weakref import ref

    for forget in getattr(preloaded.get("typing"), "_cleanups", ()):
        forget()  # its caches hold the program's classes
    modules = sys.modules
    for name, module in preloaded.items():
        if modules.get(name) is module:
            del modules[name]
    token = Token()
    library = os.path.dirname(os.__file__)
    for name, module in modules.items():
        if isinstance(module, type(sys)):
            names = object.__getattribute__(module, "__dict__")
            if name == "__main__" or not str(names.get("__file__", library)).startswith(library):
                names["__token__"] = token
    # The interpreter collects garbage, then clears what is left, from the last
    # module on.
    last = type(sys)("last")
    last.check = Check(ref(token), preloaded, ref, gc.unfreeze, gc.collect)
    modules["last"] = preloaded["last"] = last


class Token:
    """Lives as long as any of the program's modules."""


class Check:
    """When it goes and the token has not, gives up what was preloaded, as the
    interpreter does: first what is garbage, then what the modules hold."""

    def __init__(self, token, preloaded, weak, unfreeze, collect):
        self.token, self.preloaded, self.weak = token, preloaded, weak
        self.unfreeze, self.collect = unfreeze, collect

    def __del__(self):
        if self.token() is None:
            return
        modules = [self.weak(m) for m in self.preloaded.values() if isinstance(m, type(sys))]
        self.preloaded.clear()
        self.unfreeze()
        self.collect()
        for weak in reversed(modules):
            if self.token() is not None and weak() is not None:
                names = weak().__dict__
                names.update(dict.fromkeys(names.keys() - {"__builtins__"}))


warm()
# The site module passes over a sitecustomize that is not there, and the import
# system forgets one that fails: so none of this shows in sys.modules.
if "sitecustomize" not in sys.modules:
    raise ImportError(name="sitecustomize")

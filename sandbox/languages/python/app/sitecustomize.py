"""Warm-up of the Python interpreter.

The agent starts the real command, `python3 -u main.py`, with this file where
the site module looks for sitecustomize: after the interpreter is up and before
it opens main.py. Here it loads what programs commonly import, tells the agent,
and waits. When the agent lets it go, main.py exists, and Python runs it as it
always does: no frame, name or exit path is ours.
"""

import sys


def warm():
    import atexit
    import gc
    import os

    # Registered first, so it runs last.
    preloaded = {}
    atexit.register(drop, preloaded)

    import array, base64, bisect, calendar, collections, contextlib, copy  # noqa: E401
    import csv, dataclasses, datetime, decimal, enum, fractions, functools  # noqa: E401
    import hashlib, heapq, inspect, io, itertools, json, math, operator  # noqa: E401
    import pathlib, pprint, queue, random, re, secrets, shutil, statistics  # noqa: E401
    import string, struct, subprocess, tempfile, textwrap, threading, time  # noqa: E401
    import traceback, types, typing, unicodedata, uuid, warnings, weakref  # noqa: E401

    # Called before what atexit has.
    threading._register_atexit(keep_figures, os.getcwd(), os.getpid())

    folder = os.path.dirname(__file__)
    del os.environ["PYTHONPATH"]
    sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    import_hidden()
    rehearse()

    preloaded.update(sys.modules)
    for name in ("sys", "builtins", "__main__", "sitecustomize"):
        preloaded.pop(name, None)
    preloaded[""] = preloaded  # frozen with itself in a cycle: never freed
    # A frozen dict is never found to be garbage, and one that holds nothing is
    # not frozen.
    main = vars(sys.modules["__main__"])
    kept = main.copy()
    main.clear()
    gc.collect()
    gc.freeze()
    main.update(kept)

    os.write(3, b"R")
    words = []
    while part := os.read(3, 65536):
        words.append(part)
    os.close(3)
    if not words:
        os._exit(0)  # the agent has gone
    header = json.loads(b"".join(words))
    args, env, entry = header.get("args", []), header.get("env", {}), header.get("entry")
    if entry or needs_cold_start(env, preloaded, os.listdir()):
        command = [*sys.orig_argv[:-1], entry or sys.orig_argv[-1]]
        os.execve(sys.executable, [*command, *args], {**os.environ, **env})
    sys.argv += args
    sys.orig_argv += args
    os.environ.update(env)


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


def needs_cold_start(env, preloaded, files):
    """Tell whether a warm interpreter would differ from a new one: a variable
    comes too late, or a file of the program hides a module that is loaded, or
    is in the user's site-packages."""
    return any(name.startswith(STARTUP) for name in env) or any(
        name == ".local" or name.partition(".")[0] in preloaded for name in files
    )


def import_hidden():
    """Import the image's own sitecustomize, which this file hides."""
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        pass


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
    import gc
    import os
    import typing
    import weakref

    for forget in getattr(typing, "_cleanups", ()):
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
    last.check = Check(weakref.ref(token), preloaded, weakref.ref, gc.unfreeze, gc.collect)
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

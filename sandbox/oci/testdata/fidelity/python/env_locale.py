import locale
import os
import sys

print(sys.stdout.encoding, sys.getfilesystemencoding(), sys.flags.utf8_mode, locale.setlocale(locale.LC_ALL, ""))
print(sys.stdin.errors, os.environ.get("LC_CTYPE"), os.environ["LC_ALL"], ascii(sys.argv))

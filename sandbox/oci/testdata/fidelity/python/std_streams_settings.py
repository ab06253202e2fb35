import io
import locale
import sys

for s in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
    print(s.name, s.mode, s.encoding, s.errors, s.line_buffering, s.write_through, s.newlines, type(s.buffer), s.isatty())
print(locale.getpreferredencoding(), locale.getlocale(), locale.setlocale(locale.LC_ALL))
print(io.text_encoding(None), sys.getdefaultencoding(), locale.localeconv()["decimal_point"])

import csv, ctypes, io, json, sqlite3, ssl, zlib  # noqa: E401
import bz2, lzma, hashlib, hmac, email.message, xml.etree.ElementTree as et, html  # noqa: E401

rows = list(csv.DictReader(io.StringIO("a,b\n1,2\n")))
db = sqlite3.connect(":memory:")
print(rows, db.execute("select sum(x) from (select 1 as x union select 2)").fetchone())
print(json.dumps({"ü": [1.5, None, True]}, indent=1, ensure_ascii=False), ssl.OPENSSL_VERSION)
print(ctypes.CDLL(None).abs(-3), zlib.crc32(b"x"), hashlib.sha256(b"x").hexdigest(), len(hashlib.algorithms_guaranteed))
print(len(bz2.compress(b"x")), len(lzma.compress(b"x")), hmac.digest(b"k", b"m", "md5"), et.fromstring("<a>t</a>").text, html.escape("<"))
json.loads("{")

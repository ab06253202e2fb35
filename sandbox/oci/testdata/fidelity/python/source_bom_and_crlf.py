print("with a BOM")
if True:
    print("""a
b""")

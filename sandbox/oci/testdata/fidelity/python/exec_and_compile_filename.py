code = compile("def f():\n    raise ValueError('made up')\nf()", "made-up.py", "exec")
try:
    exec(code, {})
except ValueError as e:
    print(e.__traceback__.tb_next.tb_frame.f_code.co_filename, e.__traceback__.tb_next.tb_frame.f_globals.keys())
exec("import sys; print(sys._getframe().f_back.f_code.co_name, __name__)")
eval("1 +")

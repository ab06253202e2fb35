import sys
import traceback

try:
    raise OSError(2, "No such file", "x")
except OSError as e:
    text = traceback.format_exc()
    print(text)
    traceback.print_exc(file=sys.stdout)
    print(e.__traceback__.tb_frame.f_back, e.__traceback__.tb_frame.f_code.co_filename)

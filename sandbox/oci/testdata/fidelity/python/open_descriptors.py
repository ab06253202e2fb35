import os
import stat

for fd in range(0, 12):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    print(fd, stat.filemode(mode)[0], os.get_blocking(fd), os.get_inheritable(fd))

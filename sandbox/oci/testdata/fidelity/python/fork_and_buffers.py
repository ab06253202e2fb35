import os

out = open(1, "w", closefd=False)
out.write("buffered once ")
pid = os.fork()
if pid == 0:
    out.write("child\n")
else:
    os.waitpid(pid, 0)
    out.write("parent\n")

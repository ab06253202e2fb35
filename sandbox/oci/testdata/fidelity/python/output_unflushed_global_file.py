out = open("/dev/fd/1", "w")
out.write("flushed by the teardown\n")
late = open(1, "w", closefd=False)
late.write("and this\n")

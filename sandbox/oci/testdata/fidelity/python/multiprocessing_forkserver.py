import multiprocessing


def work(conn):
    conn.send(("from the child", __name__))
    raise ValueError("the child fails")


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    p = context.Process(target=work, args=(theirs,), name="child")
    p.start()
    print(ours.recv())
    p.join()
    print(p.exitcode)

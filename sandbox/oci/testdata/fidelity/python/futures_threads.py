from concurrent.futures import ThreadPoolExecutor, as_completed

with ThreadPoolExecutor(3, thread_name_prefix="w") as pool:
    futures = {pool.submit(pow, n, 2): n for n in range(5)}
    print(sorted((futures[f], f.result()) for f in as_completed(futures)))
    try:
        pool.submit(lambda: 1 / 0).result()
    except ZeroDivisionError as e:
        print(repr(e))
left_open = ThreadPoolExecutor(1)
left_open.submit(print, "runs before exit")

from concurrent.futures import ProcessPoolExecutor


def fail(n):
    raise ValueError(n)


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(str, range(4))))
        pool.submit(fail, 3).result()

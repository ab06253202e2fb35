from multiprocessing import Lock, Process, Value
from multiprocessing.shared_memory import SharedMemory


def fill(name, count, lock):
    block = SharedMemory(name)
    block.buf[:3] = b"abc"
    block.close()
    with lock:
        count.value += 1


if __name__ == "__main__":
    block = SharedMemory(create=True, size=16)
    count, lock = Value("i", 0), Lock()
    workers = [Process(target=fill, args=(block.name, count, lock)) for _ in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(bytes(block.buf[:3]), count.value)
    block.close()
    block.unlink()

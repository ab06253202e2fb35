import threading

results = []
lock = threading.Lock()


def work(n):
    with lock:
        results.append((n, threading.current_thread().name, threading.current_thread().daemon))


threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(sorted(results), threading.active_count(), threading.main_thread() is threading.current_thread())
print(threading.enumerate()[0].name, threading.current_thread().native_id == threading.get_native_id())

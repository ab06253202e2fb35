import multiprocessing

p = multiprocessing.get_context("spawn").Process(target=print, args=("child",))
p.start()
p.join()
print(p.exitcode)

import gc

print(gc.get_freeze_count())
print(len(gc.get_objects()) > 5000)

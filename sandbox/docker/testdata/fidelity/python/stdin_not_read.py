print("does not care")

raise ValueError("größe ✓")  # ünïcödé 日本

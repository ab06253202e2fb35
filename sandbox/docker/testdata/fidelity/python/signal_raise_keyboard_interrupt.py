raise KeyboardInterrupt("typed")

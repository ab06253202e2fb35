raise SystemExit("a last word")

import sys

print("é ñ 日本語 😀 \u202e \x00 nul")
print("é ✓", file=sys.stderr)
sys.stdout.write("no newline at the end")

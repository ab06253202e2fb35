import os

print(os.getcwd(), sorted(os.listdir()))
os.mkdir("made")
with open("made/f.txt", "w") as f:
    f.write("text")
print(sorted(os.listdir("made")), oct(os.stat("made").st_mode), oct(os.stat("made/f.txt").st_mode))
print(oct(os.stat("main.py").st_mode), oct(os.umask(0)))

import subprocess

p = subprocess.Popen(["sleep", "60"])
print("left it behind")

import os
import subprocess

print("before")
subprocess.run(["sh", "-c", "cat; echo to stderr >&2"])
os.system("echo system; exit 3")
print(os.popen("echo popen").read(), subprocess.getoutput("echo $0"))
try:
    subprocess.run(["false"], check=True)
except subprocess.CalledProcessError as e:
    print(e)
subprocess.run(["no-such-command"])

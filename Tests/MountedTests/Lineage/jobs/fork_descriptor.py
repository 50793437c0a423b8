# out x: a ancestor
# out y: b process
import os
import subprocess

# A descriptor that stays open goes over fork and exec; what is closed on exec does not.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
a = os.open(f"{IN}/a.txt", os.O_RDONLY)
h = os.open(f"{IN}/h.txt", os.O_RDONLY)
with open(f"{OUT}x.txt", "w") as file:
    subprocess.run(["sort"], stdin=a, stdout=file, check=True)
with open(f"{OUT}y.txt", "w") as file:
    subprocess.run(["sort", f"{IN}/b.txt"], stdin=subprocess.DEVNULL, stdout=file, check=True)

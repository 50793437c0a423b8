# out x: a process
# out y: a process, b process
import os

# x is still open when b is read, but nothing is written to it any more.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
x = open(f"{OUT}x.txt", "w")
x.write(open(f"{IN}/a.txt").read())
x.flush()
rows = open(f"{IN}/b.txt").read()
x.close()
with open(f"{OUT}y.txt", "w") as y:
    y.write(rows)

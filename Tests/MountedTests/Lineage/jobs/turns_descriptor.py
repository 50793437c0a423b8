# out x: a process
# out y: a process, b process
# out z: a process, b process
import os

# x is closed before b is opened; y is opened before, and written after that.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
x = os.open(f"{OUT}x.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
y = os.open(f"{OUT}y.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
a = os.open(f"{IN}/a.txt", os.O_RDONLY)
os.write(x, os.read(a, 1000))
os.close(x)
b = os.open(f"{IN}/b.txt", os.O_RDONLY)
os.write(y, os.read(b, 1000))
os.close(y)
with open(f"{OUT}z.txt", "w") as file:
    file.write("of both\n")
h = os.open(f"{IN}/h.txt", os.O_RDONLY)
os.read(h, 1000)

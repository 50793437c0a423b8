# out x: a process
# out y: a process, b process
import mmap
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def mapped(name):
    with open(f"{IN}/{name}.txt", "rb") as file:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)


a = mapped("a")
with open(f"{OUT}x.txt", "wb") as file:
    file.write(a[:100])
b = mapped("b")
with open(f"{OUT}y.txt", "w+b") as file:
    file.truncate(100)
    with mmap.mmap(file.fileno(), 100) as stored:
        stored[:] = a[:50] + b[:50]
h = mapped("h")

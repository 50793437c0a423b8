# out x: a process
# out y: b pipe, a process
import os
import subprocess
import threading

# A thread starts a program; another reads and writes: descriptors and memory are one.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
ready = threading.Event()
a = os.open(f"{IN}/a.txt", os.O_RDONLY)
x = os.open(f"{OUT}x.txt", os.O_WRONLY | os.O_CREAT, 0o644)


def work():
    os.write(x, os.read(a, 100))
    os.close(x)
    ready.set()


def call():
    ready.wait()
    rows.append(subprocess.run(["cut", "-f1", f"{IN}/b.txt"], stdout=subprocess.PIPE, check=True).stdout)


rows = []
threads = [threading.Thread(target=work), threading.Thread(target=call)]
for each in threads:
    each.start()
for each in threads:
    each.join()
with open(f"{OUT}y.txt", "wb") as file:
    file.write(rows[0])
subprocess.run(["wc", f"{IN}/h.txt"], stdout=subprocess.DEVNULL, check=True)

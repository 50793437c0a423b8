# out x: a process
# out y: a process, b process
# out z: a process, b process, c process, d process
import os
import threading

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
rows = {}


def read(name):
    rows[name] = open(f"{IN}/{name}.txt").read()


def save(name):
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write("".join(rows.values()))


def together(*work):
    threads = [threading.Thread(target=function, args=(name,)) for function, name in work]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


together((read, "a"))
together((save, "x"))
read("b")
together((save, "y"))
together((read, "c"), (read, "d"))
save("z")
together((read, "h"))

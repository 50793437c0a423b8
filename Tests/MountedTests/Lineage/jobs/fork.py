# out x: a ancestor, b process
# out y: a process, c process
# out z: a ancestor, c ancestor, d process
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def read(name):
    with open(f"{IN}/{name}.txt") as file:
        return file.read()


def save(name, rows):
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(rows)


def child(name, own, rows):
    number = os.fork()
    if number == 0:
        save(name, rows + read(own))
        os._exit(0)
    assert os.waitpid(number, 0)[1] == 0


rows = read("a")
child("x", "b", rows)
rows += read("c")
save("y", rows)
inner = os.fork()
if inner == 0:
    child("z", "d", rows)
    os._exit(0)
assert os.waitpid(inner, 0)[1] == 0
read("h")

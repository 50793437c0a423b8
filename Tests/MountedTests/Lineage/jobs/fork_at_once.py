# out x: a ancestor, b process
# out y: a ancestor, c ancestor, d process
import os
import time

# What the parent opens right after a fork is not the child's, however soon it is; what it opened right before is.
IN, OUT, T = (os.environ[name] for name in ("IN", "OUT", "T"))


def child(name, own, rows):
    number = os.fork()
    if number == 0:
        while not os.path.exists(T + "/go"):
            time.sleep(0.005)
        rows += open(f"{IN}/{own}.txt").read()
        with open(f"{OUT}{name}.txt", "w") as file:
            file.write(rows)
        os._exit(0)
    return number


rows = open(f"{IN}/a.txt").read()
first = child("x", "b", rows)
rows += open(f"{IN}/c.txt").read()
second = child("y", "d", rows)
open(f"{IN}/h.txt").read()
open(T + "/go", "w").close()
for number in (first, second):
    assert os.waitpid(number, 0)[1] == 0

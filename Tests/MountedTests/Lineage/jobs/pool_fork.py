# varies
import multiprocessing
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def part(name):
    own = open(f"{IN}/{name}.txt").read()
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(own)
    return len(own)


rows = open(f"{IN}/a.txt").read()
pool = multiprocessing.get_context("fork").Pool(2)
total = sum(pool.map(part, "bcde", chunksize=1))
# Who leaves it to `with` has its workers killed, and what they wrote is kept back.
pool.close()
pool.join()
with open(f"{OUT}sum.txt", "w") as file:
    file.write(f"{total}\n")
open(f"{IN}/h.txt").read()

# varies
import concurrent.futures
import multiprocessing
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def part(name):
    own = open(f"{IN}/{name}.txt").read()
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(own)
    return own


if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        rows = list(pool.map(part, "bcd"))
    with open(f"{OUT}all.txt", "w") as file:
        file.write("".join(rows))
    open(f"{IN}/h.txt").read()

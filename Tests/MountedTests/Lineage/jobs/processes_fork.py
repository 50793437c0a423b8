# out b: a ancestor, b process
# out c: a ancestor, c process
# out d: a ancestor, d process
# out sum: a process, b pipe, c pipe, d pipe
import multiprocessing
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def part(name, rows, answers, go):
    own = open(f"{IN}/{name}.txt").read()
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(rows + own)
    answers.put(len(own))


context = multiprocessing.get_context("fork")
rows = open(f"{IN}/a.txt").read()
answers = context.SimpleQueue()
parts = [context.Process(target=part, args=(name, rows, answers, None)) for name in "bcd"]
for each in parts:
    each.start()
total = sum(answers.get() for _ in parts)
for each in parts:
    each.join()
with open(f"{OUT}sum.txt", "w") as file:
    file.write(f"{total}\n")
open(f"{IN}/h.txt").read()

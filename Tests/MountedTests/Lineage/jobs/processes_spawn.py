# out b: a pipe, b process
# out c: a pipe, c process
# out sum: a process, b pipe, c pipe
import multiprocessing
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def part(name, rows, answers):
    own = open(f"{IN}/{name}.txt").read()
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(rows + own)
    answers.put(len(own))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    rows = open(f"{IN}/a.txt").read()
    answers = context.SimpleQueue()
    parts = [context.Process(target=part, args=(name, rows, answers)) for name in "bc"]
    for each in parts:
        each.start()
    total = sum(answers.get() for _ in parts)
    for each in parts:
        each.join()
    with open(f"{OUT}sum.txt", "w") as file:
        file.write(f"{total}\n")
    open(f"{IN}/h.txt").read()

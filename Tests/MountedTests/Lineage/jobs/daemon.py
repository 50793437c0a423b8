# out x: a ancestor, b process
import os

# The writer's parent has ended, and it is in a session of its own.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
rows = open(f"{IN}/a.txt").read()
done, keep = os.pipe()
first = os.fork()
if first == 0:
    os.setsid()
    if os.fork() == 0:
        rows += open(f"{IN}/b.txt").read()
        with open(f"{OUT}x.txt", "w") as file:
            file.write(rows)
    os._exit(0)
os.close(keep)
assert os.waitpid(first, 0)[1] == 0
open(f"{IN}/h.txt").read()
os.read(done, 1)

# out x: a process
# out y: a process, b process
# out z: a process, b process, c process
import os

IN, OUT, S = (os.environ[name] for name in ("IN", "OUT", "S"))
rows = open(f"{IN}/a.txt").read()
with open(f"{OUT}x.txt", "w") as file:
    file.write(rows)
rows += open(f"{IN}/b.txt").read()
with open(f"{OUT}y.txt", "w") as file:
    file.write(rows)
with open(f"{IN}/c.txt") as file:
    rows += file.readline()
with open(f"{OUT}z.txt", "w") as file:
    file.write(rows)
with open(f"{IN}/h.txt") as file, open(f"{S}aside.txt", "w") as aside:
    aside.write(file.read())

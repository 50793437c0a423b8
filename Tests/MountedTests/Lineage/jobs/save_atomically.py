# out x: a process
# out y: a process, b process
# out z: a process, b process, c process
import os
import shutil
import tempfile

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def save(name, rows):
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(OUT), delete=False) as file:
        file.write(rows)
    os.replace(file.name, f"{OUT}{name}.txt")


a = open(f"{IN}/a.txt").read()
save("x", a)
save("y", a + open(f"{IN}/b.txt").read())
shutil.copyfile(f"{IN}/c.txt", f"{OUT}z.txt")
open(f"{IN}/h.txt").read()

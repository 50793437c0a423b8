# out u: a process
# out v: b process
# out w: b process, c pipe
# out x: b pipe, c pipe
# out y: d pipe
# out z: e pipe
import os
import subprocess
from subprocess import PIPE

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def save(name, rows):
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(rows)


with open(f"{OUT}u.txt", "w") as file:
    subprocess.run(["sort", f"{IN}/a.txt"], stdout=file, check=True)
first = subprocess.Popen(["cut", "-f1", f"{IN}/d.txt"], stdout=PIPE)
with open(f"{OUT}y.txt", "w") as file:
    second = subprocess.Popen(["sort"], stdin=first.stdout, stdout=file)
first.stdout.close()
assert second.wait() == 0 and first.wait() == 0
subprocess.run(f"cat {IN}/e.txt | sort > {OUT}z.txt", shell=True, check=True)
subprocess.run(["wc", f"{IN}/h.txt"], stdout=subprocess.DEVNULL, check=True)
rows = open(f"{IN}/b.txt").read()
sort = subprocess.Popen(["sort"], stdin=PIPE, stdout=PIPE, text=True)
save("v", sort.communicate(rows)[0])
cut = subprocess.run(["cut", "-f1", f"{IN}/c.txt"], capture_output=True, text=True, check=True)
save("w", rows + cut.stdout)
with open(f"{OUT}x.txt", "w") as file:
    sort = subprocess.Popen(["sort"], stdin=PIPE, stdout=file, text=True)
    sort.communicate(rows + cut.stdout)

# out x: a pipe, b pipe
# out y: b ancestor, c process
# out z: a pipe, b process
import os

# A child sends what it read through a pipe; a later child has it by fork from who received it.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))


def save(name, rows):
    with open(f"{OUT}{name}.txt", "wb") as file:
        file.write(rows)


b = open(f"{IN}/b.txt", "rb").read()
early = os.fork()
if early == 0:
    save("y", b + open(f"{IN}/c.txt", "rb").read())
    os._exit(0)
assert os.waitpid(early, 0)[1] == 0
receive, send = os.pipe()
child = os.fork()
if child == 0:
    os.close(receive)
    os.write(send, open(f"{IN}/a.txt", "rb").read(500))
    os._exit(0)
os.close(send)
got = os.read(receive, 1000)
assert os.waitpid(child, 0)[1] == 0
os.close(receive)
save("z", got)
receive, send = os.pipe()
os.set_inheritable(receive, True)
sort = os.fork()
if sort == 0:
    os.dup2(receive, 0)
    os.dup2(os.open(f"{OUT}x.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), 1)
    os.close(send)
    os.execvp("sort", ["sort"])
os.close(receive)
os.write(send, got)
os.close(send)
assert os.waitpid(sort, 0)[1] == 0
open(f"{IN}/h.txt").read()

# out x: a process
# out y: b process
import os
import shutil

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
open(f"{IN}/h.txt").read()
made = os.O_WRONLY | os.O_CREAT | os.O_EXCL
sort = shutil.which("sort")
for source, target in ("ax", "by"):
    child = os.posix_spawn(sort, ["sort"], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, f"{IN}/{source}.txt", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{OUT}{target}.txt", made, 0o644)])
    assert os.waitpid(child, 0)[1] == 0

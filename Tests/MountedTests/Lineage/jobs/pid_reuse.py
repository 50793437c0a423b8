# needs: root
# out x: b process
# out y: c process
import os
import time

# A process has the number of one that is gone, and nothing else of it. Where numbers cannot be chosen it is an ordinary job.
IN, OUT, T = (os.environ[name] for name in ("IN", "OUT", "T"))


def child(work):
    number = os.fork()
    if number == 0:
        work()
        os._exit(0)
    assert os.waitpid(number, 0)[1] == 0
    return number


def choose(number):
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(number - 1))
    except OSError:
        pass


def save(name, source):
    with open(f"{OUT}{name}.txt", "w") as file:
        file.write(open(f"{IN}/{source}.txt").read())


def reader():
    open(f"{IN}/h.txt").read()


for name, source in ("xb", "yc"):
    for attempt in range(20):
        old = child(reader)
        choose(old)
        number = os.fork()
        if number == 0:
            if os.getpid() == old or attempt == 19:
                save(name, source)
                os._exit(0)
            os._exit(1)
        if os.waitpid(number, 0)[1] == 0:
            break

# holds
# out x: b process
# out y: b process, c process
import os
import socket

# Pairs of sockets are no pipes: nothing certain is asked for, and what is said of them is no fault.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    theirs.sendall(open(f"{IN}/a.txt", "rb").read())
    os._exit(0)
theirs.close()
rows = ours.recv(1000)
assert os.waitpid(child, 0)[1] == 0
rows += open(f"{IN}/b.txt", "rb").read()
with open(f"{OUT}x.txt", "wb") as file:
    file.write(rows)
rows += open(f"{IN}/c.txt", "rb").read()
with open(f"{OUT}y.txt", "wb") as file:
    file.write(rows)

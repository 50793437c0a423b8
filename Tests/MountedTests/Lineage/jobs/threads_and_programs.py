# out a: a process, b process, c process
# out b: a pipe, b pipe, c pipe
# out c: c process
import os
import subprocess
import threading

# Threads that read, and programs that are started meanwhile.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
with open(f"{OUT}c.txt", "wb") as file:
    subprocess.run(["sort", f"{IN}/c.txt"], stdout=file, check=True)
rows = []
threads = [threading.Thread(target=lambda name=name: rows.append(open(f"{IN}/{name}.txt", "rb").read())) for name in "abc"]
for each in threads:
    each.start()
for each in threads:
    each.join()
with open(f"{OUT}a.txt", "wb") as file:
    file.write(b"".join(rows))
subprocess.run(["sh", "-c", f"sort > {OUT}b.txt"], input=b"".join(rows), check=True)
subprocess.run(["wc", f"{IN}/h.txt"], stdout=subprocess.DEVNULL, check=True)

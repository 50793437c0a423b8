"""What a shared file system does between two hosts: the facts that the design rests on, each seen, none assumed."""

import ast
import os
import subprocess
import sys
import time


class Agent:
    def __init__(self, host, path):
        self.path = path
        self.process = host.spawn(
            sys.executable, os.path.dirname(__file__) + "/agent.py", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self(f"D = {path!r}")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return ast.literal_eval(self.process.stdout.readline())

    def __call__(self, line):
        self.say(line)
        return self.hear()


RACES = {
    "O_EXCL": "[attempt(lambda: put(D + f'/race/O_EXCL-{i}', ME, os.O_CREAT | os.O_EXCL)) for i in range(N)]",
    "link": "[attempt(os.link, D + '/token-' + ME, D + f'/race/link-{i}') for i in range(N)]",
    "NOREPLACE": "[(put(D + f'/race/{ME}-{i}', ME), attempt(rename2, D + f'/race/{ME}-{i}', D + f'/race/NOREPLACE-{i}', 1))[1] for i in range(N)]",
    "mkdir": "[attempt(os.mkdir, D + f'/race/mkdir-{i}') for i in range(N)]",
}


def race(a, b, way, number):
    for agent in (a, b):
        agent(f"N = {number}")
    for agent in (a, b):
        agent.say(RACES[way])
    x, y = a.hear(), b.hear()
    if isinstance(x, str) or isinstance(y, str):
        return f"{x}, {y}"
    both = sum(p == q == "ok" for p, q in zip(x, y))
    none = sum("ok" not in (p, q) for p, q in zip(x, y))
    errors = sorted({v for v in x + y if v != "ok"})
    found = f"{number} names: won by both {both}, by none {none}, a: {x.count('ok')}, b: {y.count('ok')}; errors {errors}"
    if way in ("O_EXCL", "link", "NOREPLACE"):
        there = a(f"[attempt(get, D + f'/race/{way}-{{i}}') for i in range(N)]")
        seen = b(f"[attempt(get, D + f'/race/{way}-{{i}}') for i in range(N)]")
        wrong = sum(p == "ok" and t != "a" or q == "ok" and t != "b" for p, q, t in zip(x, y, there))
        other = sorted({t for p, q, t in zip(x, y, there) if p == "ok" and t != "a" or q == "ok" and t != "b"})
        if way == "link":
            found += f"; seen otherwise: {[(s, t) for s, t in zip(there, seen) if s != t][:3]}"
        found += f"; read at once {other}, has not the winner's bytes: {wrong}; seen otherwise by the other host: {sum(s != t for s, t in zip(there, seen))}"
    return found


def facts(system, hosts, tell, cuts=(10, 60), number=300):
    one, two = hosts[:2]
    a, b = Agent(one, one.shared), Agent(two, two.shared)
    a("ME = 'a'"), b("ME = 'b'")
    a("os.mkdir(D + '/race')")
    a("put(D + '/token-a', 'a')"), b("put(D + '/token-b', 'b')")
    tell("statfs", a("os.popen('stat -f -c \"%t, block %s, name length %l\" ' + D).read().strip()"))
    tell("same inode numbers on both", (a("os.stat(D + '/token-a').st_ino"), b("os.stat(D + '/token-a').st_ino")))
    tell("birth time (statx)", a("os.popen('stat -c %w ' + D + '/token-a').read().strip()"))
    for way in RACES:
        tell(f"race by {way}", race(a, b, way, number))
    tell("renameat2 NOREPLACE onto what is there", a("(put(D + '/x', 'x'), put(D + '/y', 'y'), attempt(rename2, D + '/x', D + '/y', 1), get(D + '/y'))[2:]"))
    a("attempt(os.stat, D + '/n1'), put(D + '/x', 'x')")
    b("put(D + '/n1', 'theirs')")
    tell("  the other host made it just now", a("attempt(rename2, D + '/x', D + '/n1', 1), attempt(get, D + '/n1')"))
    tell("renameat2 EXCHANGE", a("put(D + '/x', 'x'), attempt(rename2, D + '/x', D + '/y', 2), get(D + '/y')"))
    a("attempt(os.stat, D + '/n2')")
    b("put(D + '/n2', 'theirs')")
    tell("link onto what the other host made just now", a("attempt(os.link, D + '/token-a', D + '/n2'), attempt(get, D + '/n2')"))
    a("attempt(os.stat, D + '/n3')")
    b("put(D + '/n3', 'theirs')")
    tell("O_EXCL, the same", a("attempt(put, D + '/n3', 'a', os.O_CREAT | os.O_EXCL)"))
    tell("links of one file", a("attempt(lambda: [os.link(D + '/token-a', D + f'/race/l{i}') for i in range(3000)] and None), os.stat(D + '/token-a').st_nlink"))
    tell("  seen by the other host", b("os.stat(D + '/token-a').st_nlink"))
    a("KEPT['l'] = os.open(D + '/token-a', os.O_RDWR)"), a("fcntl.flock(KEPT['l'], fcntl.LOCK_EX)")
    b("KEPT['l'] = os.open(D + '/token-a', os.O_RDWR)")
    tell("flock held by the other host", b("attempt(fcntl.flock, KEPT['l'], fcntl.LOCK_EX | fcntl.LOCK_NB)"))
    tell("  by this host (another descriptor)", a("attempt(lambda: fcntl.flock(os.open(D + '/token-a', os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB))"))
    a("KEPT['dl'] = os.open(D + '/race', os.O_RDONLY)"), a("fcntl.flock(KEPT['dl'], fcntl.LOCK_EX)")
    tell("flock of a directory, held by the other host", b("attempt(lambda: fcntl.flock(os.open(D + '/race', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB))"))
    tell("fcntl lock by the process that has the flock", a("attempt(fcntl.lockf, KEPT['l'], fcntl.LOCK_EX | fcntl.LOCK_NB)"))
    a("KEPT['f'] = os.open(D + '/y', os.O_RDWR)"), b("KEPT['f'] = os.open(D + '/y', os.O_RDWR)")
    a("attempt(fcntl.lockf, KEPT['f'], fcntl.LOCK_EX | fcntl.LOCK_NB)")
    tell("fcntl lock held by the other host", b("attempt(fcntl.lockf, KEPT['f'], fcntl.LOCK_EX | fcntl.LOCK_NB)"))
    tell("O_TMPFILE", a("attempt(os.open, D, os.O_TMPFILE | os.O_RDWR)"))
    tell("O_TMPFILE and linkat", a("attempt(lambda: os.link(f'/proc/self/fd/' + str(os.open(D, os.O_TMPFILE | os.O_RDWR)), D + '/tmpf', follow_symlinks=True))"))
    tell("user.* attributes, seen by the other host", (a("attempt(os.setxattr, D + '/y', 'user.t', b'1')"), b("attempt(lambda: os.getxattr(D + '/y', 'user.t').decode())")))
    a("attempt(os.setxattr, D + '/y', 'user.t', b'2')")
    tell("  changed: seen after", b("until(lambda: os.getxattr(D + '/y', 'user.t') == b'2', 75)"))
    tell("fallocate", a("attempt(lambda: os.posix_fallocate(os.open(D + '/fa', os.O_RDWR | os.O_CREAT), 0, 4096))"))
    tell("directory fsync", a("attempt(lambda: os.fsync(os.open(D, os.O_RDONLY)))"))
    tell("name_to_handle_at", a("LIBC.name_to_handle_at(-100, (D + '/y').encode(), (ctypes.c_char * 136)(*b'\\x80\\0\\0\\0'), ctypes.byref(ctypes.c_int()), 0), errno.errorcode.get(ctypes.get_errno())"))
    tell("lease (F_SETLEASE, read)", a("attempt(lambda: fcntl.fcntl(os.open(D + '/y', os.O_RDONLY), 1024, fcntl.F_RDLCK))"))

    # How soon the other host sees something.
    for what, before, change, see in (
        ("a new name, asked for before (negative)", "attempt(os.stat, D + '/s1')", "put(D + '/s1', 'x')", "os.path.exists(D + '/s1')"),
        ("a new name, in a listing", "os.listdir(D)", "put(D + '/s2', 'x')", "'s2' in os.listdir(D)"),
        ("a new name, by open", "attempt(get, D + '/s1o')", "put(D + '/s1o', 'x')", "attempt(get, D + '/s1o') == 'x'"),
        ("a removed name, by stat", "os.stat(D + '/s2')", "os.unlink(D + '/s2')", "not os.path.exists(D + '/s2')"),
        ("a removed name, by open", "get(D + '/s1')", "os.unlink(D + '/s1')", "attempt(get, D + '/s1') != 'x'"),
        ("another file renamed onto it, by open", "put(D + '/s3', 'old'), get(D + '/s3')", "put(D + '/s4', 'new'), os.rename(D + '/s4', D + '/s3')", "attempt(get, D + '/s3') == 'new'"),
        ("bytes overwritten (pwrite), by open and read", "put(D + '/s5', 'old'), get(D + '/s5')", "(lambda f: (os.pwrite(f, b'new', 0), os.close(f)))(os.open(D + '/s5', os.O_RDWR))", "get(D + '/s5') == 'new'"),
        ("bytes overwritten, writer keeps it open and does fsync", "get(D + '/s5')", "KEPT.update(w=os.open(D + '/s5', os.O_RDWR)), os.pwrite(KEPT['w'], b'oth', 0), os.fsync(KEPT['w'])", "get(D + '/s5') == 'oth'"),
        ("bytes overwritten, without fsync", "get(D + '/s5')", "os.pwrite(KEPT['w'], b'3rd', 0)", "get(D + '/s5') == '3rd'"),
        ("bytes overwritten, by pread of a descriptor kept open", "KEPT.update(r=os.open(D + '/s5', os.O_RDONLY)), os.pread(KEPT['r'], 9, 0)", "os.pwrite(KEPT['w'], b'4th', 0), os.fsync(KEPT['w'])", "os.pread(KEPT['r'], 9, 0) == b'4th'"),
        ("appended bytes, by open and read", "get(D + '/s5')", "os.pwrite(KEPT['w'], b'4thmore', 0), os.fsync(KEPT['w'])", "get(D + '/s5') == '4thmore'"),
        ("mtime, by stat", "KEPT.update(m=os.stat(D + '/s5').st_mtime_ns), time.sleep(1.2)", "os.pwrite(KEPT['w'], b'5th', 0), os.fsync(KEPT['w'])", "os.stat(D + '/s5').st_mtime_ns != KEPT['m']"),
        ("number of links, by stat", "os.stat(D + '/s5')", "os.link(D + '/s5', D + '/s6')", "os.stat(D + '/s5').st_nlink == 2"),
        ("mode 0444, by open for writing as root: shown mode", "os.stat(D + '/s5')", "os.chmod(D + '/s5', 0o444)", "os.stat(D + '/s5').st_mode & 0o222 == 0"),
    ):
        b(before)
        done = a(f"attempt(lambda: ({change}) and None)")
        tell(f"seen after (s): {what}", b(f"until(lambda: {see}, 75)") if done == "ok" else done)
    a("put(D + '/g', 'old'), KEPT.update(g=os.open(D + '/g', os.O_RDWR))")
    b("os.unlink(D + '/g')")
    tell("open file that the other host removed: read, write, fsync, fstat links",
         a("attempt(os.pread, KEPT['g'], 9, 0), attempt(os.pwrite, KEPT['g'], b'x', 0), attempt(os.fsync, KEPT['g']), attempt(lambda: os.fstat(KEPT['g']).st_nlink)"))
    a("put(D + '/h', 'old'), KEPT.update(h=os.open(D + '/h', os.O_RDWR))")
    b("os.rename(D + '/h', D + '/h2')")
    tell("open file that the other host renamed: write, fsync", a("attempt(os.pwrite, KEPT['h'], b'x', 0), attempt(os.fsync, KEPT['h'])"))
    a("os.mkdir(D + '/d'), os.mkdir(D + '/d/e'), KEPT.update(d=os.open(D + '/d/e', os.O_PATH))")
    b("os.rename(D + '/d/e', D + '/d/f')")
    tell("openat in a directory that the other host renamed", a("attempt(lambda: os.close(os.open('z', os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=KEPT['d'])))"))
    if two.clock:
        clocks(a, b, tell)
    for seconds in cuts:
        cut(system, one, two, a, b, seconds, tell)


def clocks(a, b, tell):
    """Whose times files have: the other host's clock is a day apart."""
    a("apart = lambda name, member: {0: 'the server\\'s'}.get(round((getattr(os.stat(D + name), member) - time.time()) / 86400), 'the client\\'s')")
    b("put(D + '/t1', 'x'), put(D + '/t2', 'x'), KEPT.update(t=os.open(D + '/t3', os.O_RDWR | os.O_CREAT)), os.pwrite(KEPT['t'], b'x', 0), os.fsync(KEPT['t'])")
    a("put(D + '/t4', 'x')"), a("time.sleep(2)"), b("os.utime(D + '/t2')"), b("os.chmod(D + '/t4', 0o600)")
    a("time.sleep(2)")
    for what, name, member in (
        ("mtime of a new file that was written", "/t1", "st_mtime"), ("ctime of it", "/t1", "st_ctime"), ("mtime after utimensat(UTIME_NOW)", "/t2", "st_mtime"),
        ("mtime after pwrite and fsync", "/t3", "st_mtime"), ("ctime after chmod", "/t4", "st_ctime")):
        tell(f"whose time: {what}", a(f"apart({name!r}, {member!r})"))


def cut(system, one, two, a, b, seconds, tell):
    a(f"put(D + '/c{seconds}', 'old'), KEPT.update(c=os.open(D + '/c{seconds}', os.O_RDWR)), fcntl.flock(KEPT['c'], fcntl.LOCK_EX)")
    b("os.listdir(D)")
    system.cut(one)
    begun = time.monotonic()
    for name, call in (
        ("write and fsync", "lambda: (os.pwrite(KEPT['c'], b'LATE', 0), os.fsync(KEPT['c'])) and None"),
        ("stat", f"lambda: os.stat(D + '/c{seconds}') and None"),
        ("O_EXCL", f"lambda: put(D + '/cx{seconds}', 'a', os.O_CREAT | os.O_EXCL)"),
        ("link", f"lambda: os.link(D + '/token-b', D + '/cl{seconds}')"),
        ("rename", f"lambda: os.rename(D + '/y', D + '/cr{seconds}')"),
        ("listdir", "lambda: os.listdir(D) and None"),
    ):
        a(f"later({name!r}, {call})")
    b(f"KEPT.update(c=os.open(D + '/c{seconds}', os.O_RDWR))")
    time.sleep(max(0, seconds - 3 - (time.monotonic() - begun)))
    tell(f"cut of {seconds} s: flock of the cut-off host, asked after {seconds - 3} s", b("attempt(fcntl.flock, KEPT['c'], fcntl.LOCK_EX | fcntl.LOCK_NB)"))
    time.sleep(max(0, seconds - (time.monotonic() - begun)))
    before = a("THREADS")
    system.join(one)
    tell(f"cut of {seconds} s: calls that ended during it (result, seconds)", {k: v for k, v in before.items() if v})
    end = time.monotonic() + 60
    while None in a("THREADS").values() and time.monotonic() < end:
        time.sleep(0.2)
    tell(f"cut of {seconds} s: calls, after it (result, seconds since the cut)", a("THREADS"))
    tell(f"cut of {seconds} s: the late calls were carried out", b(
        f"attempt(get, D + '/c{seconds}'), [os.path.exists(D + '/' + n) for n in ('cx{seconds}', 'cl{seconds}', 'cr{seconds}')]"))
    tell(f"cut of {seconds} s: afterwards write to the open file, open anew, flock of the other host", (
        a("attempt(lambda: (os.pwrite(KEPT['c'], b'AGAIN', 0), os.fsync(KEPT['c'])) and None)"),
        a(f"attempt(get, D + '/c{seconds}')"), b("attempt(fcntl.flock, KEPT['c'], fcntl.LOCK_EX | fcntl.LOCK_NB)")))

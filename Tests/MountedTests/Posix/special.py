"""Special files, locks, listings and whole programs."""

from common import *


@check
def fifo(d):
    os.mkfifo(d + "/p", 0o640)
    pid = os.fork()
    if pid == 0:
        fd = os.open(d + "/p", os.O_WRONLY)
        os.write(fd, b"through the pipe")
        os._exit(0)
    fd = os.open(d + "/p", os.O_RDONLY)
    data = os.read(fd, 100)
    os.close(fd)
    os.waitpid(pid, 0)
    return data.decode(), mode(d + "/p"), e(os.mkfifo, d + "/p"), opened(d + "/p", os.O_WRONLY | os.O_NONBLOCK)


@check
def unix_stream_socket(d):
    def at(path, action):
        here = os.open(".", os.O_RDONLY)
        os.chdir(d)  # sun_path has 108 bytes.
        try:
            return e(action)
        finally:
            os.fchdir(here)
            os.close(here)

    server = socket.socket(socket.AF_UNIX)
    at("s", lambda: server.bind("s"))
    server.listen(1)
    client = socket.socket(socket.AF_UNIX)
    connected = at("s", lambda: client.connect("s"))
    peer, _ = server.accept()
    client.sendall(b"hello")
    answer = (
        connected,
        peer.recv(10).decode(),
        mode(d + "/s"),
        opened(d + "/s", os.O_RDONLY),
        at("s", lambda: socket.socket(socket.AF_UNIX).bind("s")),
    )
    for s in (server, client, peer):
        s.close()
    return answer, at("s", lambda: socket.socket(socket.AF_UNIX).connect("s"))


@check
def nodes(d):
    return (
        e(os.mknod, d + "/r", 0o644 | stat.S_IFREG),
        mode(d + "/r"),
        e(os.mknod, d + "/c", 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
        mode(d + "/c"),
        os.lstat(d + "/c").st_rdev if os.path.lexists(d + "/c") else None,
        e(os.mknod, d + "/p", 0o600 | stat.S_IFIFO),
        mode(d + "/p"),
        e(os.mknod, d + "/r", 0o644 | stat.S_IFREG),
    )


@check
def nodes_by_others(d):
    os.chmod(d, 0o777)
    return (
        as_user(1501, lambda: os.mknod(d + "/c", 0o600 | stat.S_IFCHR, os.makedev(1, 3))),
        as_user(1501, lambda: os.mknod(d + "/r", 0o600 | stat.S_IFREG)),
        sorted(os.listdir(d)),
    )


def lock_from_child(d, kind):
    def inside():
        fd = os.open(d + "/f", os.O_RDWR)
        return e(fcntl.flock, fd, kind | fcntl.LOCK_NB)

    return child(inside)


@check
def flock_between_processes(d):
    fd = os.open(put(d + "/f"), os.O_RDWR)
    answers = []
    for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN):
        fcntl.flock(fd, kind)
        answers.append((lock_from_child(d, fcntl.LOCK_EX), lock_from_child(d, fcntl.LOCK_SH)))
    os.close(fd)
    return answers


@check
def flock_between_handles_of_one_process(d):
    first, second = os.open(put(d + "/f"), os.O_RDWR), os.open(d + "/f", os.O_RDWR)
    fcntl.flock(first, fcntl.LOCK_EX)
    answers = [e(fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB)]
    os.close(first)
    answers.append(e(fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(second)
    return answers


@check
def flock_is_released_by_death(d):
    put(d + "/f")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        fcntl.flock(os.open(d + "/f", os.O_RDWR), fcntl.LOCK_EX)
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)
    held = lock_from_child(d, fcntl.LOCK_EX)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)
    deadline = time.monotonic() + 5
    while (answer := lock_from_child(d, fcntl.LOCK_EX)) and time.monotonic() < deadline:
        time.sleep(0.005)
    return held, answer


@check
def flock_waits(d):
    fd = os.open(put(d + "/f"), os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pid = os.fork()
    if pid == 0:
        fcntl.flock(os.open(d + "/f", os.O_RDWR), fcntl.LOCK_EX)
        os._exit(7)
    time.sleep(0.05)
    early = os.waitpid(pid, os.WNOHANG)[0]
    os.close(fd) if False else fcntl.flock(fd, fcntl.LOCK_UN)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return early, status


def posix_lock_from_child(d, kind, start, length):
    def inside():
        fd = os.open(d + "/f", os.O_RDWR)
        return e(fcntl.lockf, fd, kind | fcntl.LOCK_NB, length, start)

    return child(inside)


@check
def posix_locks_between_processes(d):
    fd = os.open(put(d + "/f", b"x" * 100), os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
    exclusive = [
        posix_lock_from_child(d, fcntl.LOCK_EX, s, n) for s, n in ((0, 20), (0, 21), (20, 1), (29, 5), (30, 0))
    ]
    fcntl.lockf(fd, fcntl.LOCK_SH, 10, 20)
    shared = [posix_lock_from_child(d, k, 25, 1) for k in (fcntl.LOCK_EX, fcntl.LOCK_SH)]
    fcntl.lockf(fd, fcntl.LOCK_UN, 5, 20)
    parts = [posix_lock_from_child(d, fcntl.LOCK_EX, s, 1) for s in (20, 24, 25)]
    os.close(fd)
    return exclusive, shared, parts, posix_lock_from_child(d, fcntl.LOCK_EX, 0, 0)


@check
def posix_locks_go_with_any_close(d):
    fd = os.open(put(d + "/f"), os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    held = posix_lock_from_child(d, fcntl.LOCK_EX, 0, 0)
    os.close(os.open(d + "/f", os.O_RDONLY))
    answer = held, posix_lock_from_child(d, fcntl.LOCK_EX, 0, 0)
    os.close(fd)
    return answer


@check
def posix_lock_asks_who(d):
    fd = os.open(put(d + "/f"), os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 5, 3)
    me = os.getpid()

    def inside():
        other = os.open(d + "/f", os.O_RDWR)
        answer = struct.unpack(
            "hhqqi4x", fcntl.fcntl(other, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        )
        return answer[0], answer[2], answer[3], answer[4] == me

    answer = child(inside)
    os.close(fd)
    return answer


@check
def posix_lock_needs_the_right_handle(d):
    fd = os.open(put(d + "/f"), os.O_RDONLY)
    answer = e(fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB), e(fcntl.lockf, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(fd)
    return answer


@check
def locks_of_open_file_descriptions(d):
    first, second = os.open(put(d + "/f"), os.O_RDWR), os.open(d + "/f", os.O_RDWR)
    lock = lambda fd, kind: e(lambda: fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", kind, 0, 0, 0, 0)) and None)
    answers = (
        lock(first, fcntl.F_WRLCK),
        lock(second, fcntl.F_WRLCK),
        lock(first, fcntl.F_UNLCK),
        lock(second, fcntl.F_WRLCK),
    )
    os.close(first)
    os.close(second)
    return answers


@check
def readdir_while_deleting_2000(d):
    for i in range(2000):
        os.close(os.open(d + "/f%04d" % i, os.O_CREAT | os.O_WRONLY))
    seen = []
    with os.scandir(d) as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(entry.path)
    return len(seen), len(set(seen)), os.listdir(d)


@check
def readdir_of_5000(d):
    for i in range(5000):
        os.close(os.open(d + "/f%04d" % i, os.O_CREAT | os.O_WRONLY))
    names = os.listdir(d)
    answer = len(names), len(set(names)), hashlib.sha256("".join(sorted(names)).encode()).hexdigest()
    shutil.rmtree(d)
    return answer


@check
def readdir_types(d):
    put(d + "/f")
    os.mkdir(d + "/d")
    os.symlink("f", d + "/l")
    os.mkfifo(d + "/p")
    with os.scandir(d) as entries:
        types = sorted(
            (n.name, n.is_file(follow_symlinks=False), n.is_dir(follow_symlinks=False), n.is_symlink()) for n in entries
        )
    with os.scandir(d) as entries:
        same = all(n.inode() == os.lstat(n.path).st_ino for n in entries)
    return types, same


@check
def readdir_has_dots(d):
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.opendir(b(d)))
    names = []
    while entry := libc.readdir(stream):
        names.append(ctypes.string_at(entry + 19).decode())
    libc.closedir(stream)
    return sorted(names)


@check
def telldir_and_seekdir(d):
    for i in range(300):
        put(d + "/f%03d" % i)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    stream = ctypes.c_void_p(libc.opendir(b(d)))
    name = lambda: (lambda entry: ctypes.string_at(entry + 19).decode() if entry else None)(libc.readdir(stream))
    for _ in range(100):
        name()
    place = libc.telldir(stream)
    rest = []
    while n := name():
        rest.append(n)
    libc.seekdir(stream, ctypes.c_long(place))
    again = []
    while n := name():
        again.append(n)
    libc.rewinddir(stream)
    total = 0
    while name():
        total += 1
    libc.closedir(stream)
    return rest == again, len(rest), total


@check
def rewinddir_sees_new_names(d):
    put(d + "/a")
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.opendir(b(d)))

    def count():
        total = 0
        while libc.readdir(stream):
            total += 1
        return total

    first = count()
    put(d + "/b")
    libc.rewinddir(stream)
    second = count()
    libc.closedir(stream)
    return first, second


@check
def listing_after_each_change(d):
    answers = [os.listdir(d)]
    for action in (
        lambda: put(d + "/a"),
        lambda: os.mkdir(d + "/b"),
        lambda: os.rename(d + "/a", d + "/c"),
        lambda: os.unlink(d + "/c"),
        lambda: os.rmdir(d + "/b"),
    ):
        action()
        answers.append(sorted(os.listdir(d)))
    return answers


@check
def executes_a_script(d):
    put(d + "/run.sh", b'#!/bin/sh\necho ran "$@"\n')
    refused = e(lambda: subprocess.run([d + "/run.sh"], capture_output=True).returncode)
    os.chmod(d + "/run.sh", 0o755)
    return refused, subprocess.run([d + "/run.sh", "a"], capture_output=True, text=True).stdout


@check
def executes_a_binary(d):
    shutil.copy("/bin/true", d + "/true")
    return subprocess.run([d + "/true"]).returncode


@check
def a_running_binary_is_busy(d):
    shutil.copy("/bin/sleep", d + "/sleep")
    process = subprocess.Popen([d + "/sleep", "30"])
    try:
        return opened(d + "/sleep", os.O_WRONLY)
    finally:
        process.kill()
        process.wait()


@check
def a_file_being_written_does_not_run(d):
    shutil.copy("/bin/true", d + "/true")
    fd = os.open(d + "/true", os.O_WRONLY)
    answer = e(lambda: subprocess.run([d + "/true"]).returncode)
    os.close(fd)
    return answer


@check
def working_directory_inside(d):
    os.makedirs(d + "/a/b")

    def inside():
        os.chdir(d + "/a/b")
        put("f")
        return (
            os.getcwd() == os.path.realpath(d + "/a/b"),
            text("../b/f"),
            sorted(os.listdir("..")),
            e(os.rename, d + "/a", d + "/z"),
            os.getcwd() == os.path.realpath(d + "/z/b"),
        )

    return child(inside)


@check
def calls_relative_to_descriptors(d):
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    file = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(file)
    os.mkdir("d", dir_fd=fd)
    os.rename("f", "d/g", src_dir_fd=fd, dst_dir_fd=fd)
    answer = (
        os.listdir(fd),
        os.stat("d/g", dir_fd=fd).st_size,
        e(os.unlink, "d/g", dir_fd=fd),
        e(os.rmdir, "d", dir_fd=fd),
    )
    os.close(fd)
    return answer


@check
def handles_by_descriptor_link(d):
    fd = os.open(put(d + "/f", b"reopened"), os.O_RDONLY)
    answer = text("/proc/self/fd/%d" % fd), os.readlink("/proc/self/fd/%d" % fd) == os.path.realpath(d) + "/f"
    os.close(fd)
    return answer


@check
def inotify(d):
    fd = libc.inotify_init1(0o4000)
    libc.inotify_add_watch(fd, b(d), 0x100 | 0x200 | 0x8 | 0x80)
    put(d + "/a")
    os.rename(d + "/a", d + "/b")
    os.unlink(d + "/b")
    data, seen = os.read(fd, 65536), []
    while data:
        _, mask, _, length = struct.unpack_from("iIII", data)
        seen.append((mask, data[16 : 16 + length].rstrip(b"\0").decode()))
        data = data[16 + length :]
    os.close(fd)
    return seen


@check
def thousand_open_handles(d):
    fds = [os.open(d + "/f%d" % i, os.O_CREAT | os.O_RDWR) for i in range(800)]
    for i, fd in enumerate(fds):
        os.write(fd, b"%d" % i)
    answer = all(os.pread(fd, 9, 0) == b"%d" % i for i, fd in enumerate(fds))
    for fd in fds:
        os.close(fd)
    return answer, len(os.listdir(d))


@check
def temporary_files_of_python(d):
    with tempfile.NamedTemporaryFile(dir=d) as file:
        file.write(b"x")
        file.flush()
        inside = len(os.listdir(d))
    with tempfile.TemporaryFile(dir=d) as file:
        file.write(b"unnamed")
        file.seek(0)
        answer = file.read().decode()
    return inside, os.listdir(d), answer


@check
def copytree_and_rmtree(d):
    os.makedirs(d + "/a/b/c")
    for i in range(20):
        put(d + "/a/b/f%d" % i, b"x" * i)
    os.symlink("b", d + "/a/l")
    shutil.copytree(d + "/a", d + "/z", symlinks=True)
    same = subprocess.run(["diff", "-r", d + "/a", d + "/z"]).returncode
    shutil.rmtree(d + "/z")
    return same, os.listdir(d)


@check
def tar_round_trip(d):
    os.makedirs(d + "/a/b")
    put(d + "/a/f", b"x" * 5000)
    os.symlink("f", d + "/a/l")
    os.link(d + "/a/f", d + "/a/h")
    os.mkfifo(d + "/a/p")
    os.chmod(d + "/a/f", 0o640)
    os.utime(d + "/a/f", (1_000_000, 1_000_000))
    os.mkdir(d + "/z")
    made = subprocess.run("tar -C a -cf - . | tar -C z -xpf -", shell=True, cwd=d).returncode
    s = os.stat(d + "/z/f")
    return (
        made,
        oct(s.st_mode),
        s.st_mtime,
        s.st_nlink,
        os.readlink(d + "/z/l"),
        mode(d + "/z/p"),
        sorted(os.listdir(d + "/z")),
    )


@check
def sqlite(d):
    import sqlite3

    answers = []
    for journal in ("delete", "wal"):
        connection = sqlite3.connect(d + "/%s.db" % journal)
        answers.append(connection.execute("pragma journal_mode=" + journal).fetchone()[0])
        connection.execute("create table t (x)")
        with connection:
            connection.executemany("insert into t values (?)", [(i,) for i in range(1000)])
        answers.append(
            child(lambda: sqlite3.connect(d + "/%s.db" % journal).execute("select sum(x) from t").fetchone()[0])
        )
        connection.close()
    return answers


@check
def git_repository(d):
    script = "git init -q . && echo a > f && git add f && git -c user.name=n -c user.email=e commit -qm m && git gc -q && git fsck && git status --porcelain"
    done = subprocess.run(
        script,
        shell=True,
        cwd=d,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": d},
    )
    return done.returncode, done.stdout

"""Data: reads, writes, sizes, holes, copies, mappings."""

from common import *


@check
def append(d):
    put(d + "/f", b"one")
    fd = os.open(d + "/f", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"two")
    os.lseek(fd, 0, 0)
    os.write(fd, b"three")
    answer = text(d + "/f"), os.lseek(fd, 0, 1)
    os.close(fd)
    return answer


@check
def append_from_two_handles(d):
    first = os.open(d + "/f", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    second = os.open(d + "/f", os.O_WRONLY | os.O_APPEND)
    for i in range(50):
        os.write(first, b"a%02d\n" % i)
        os.write(second, b"b%02d\n" % i)
    os.close(first)
    os.close(second)
    return hashlib.sha256(get(d + "/f")).hexdigest()


@check
def append_from_processes(d):
    pids = []
    for i in range(4):
        pid = os.fork()
        if pid == 0:
            fd = os.open(d + "/f", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            for j in range(100):
                os.write(fd, b"%d %03d\n" % (i, j))
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return hashlib.sha256(b"".join(sorted(get(d + "/f").splitlines(True)))).hexdigest()


@check
def append_flag_by_fcntl(d):
    put(d + "/f", b"12345")
    fd = os.open(d + "/f", os.O_WRONLY)
    os.write(fd, b"X")
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    os.write(fd, b"Y")
    os.close(fd)
    return text(d + "/f")


@check
def pread_and_pwrite(d):
    fd = os.open(d + "/f", os.O_RDWR | os.O_CREAT)
    answer = (
        os.pwrite(fd, b"abc", 10),
        os.fstat(fd).st_size,
        repr(os.pread(fd, 20, 0)),
        repr(os.pread(fd, 5, 13)),
        repr(os.pread(fd, 5, 1000)),
        os.lseek(fd, 0, 1),
        e(os.pread, fd, 1, -1),
        e(os.pwrite, fd, b"x", -1),
    )
    os.close(fd)
    return answer


@check
def vectors(d):
    fd = os.open(d + "/f", os.O_RDWR | os.O_CREAT)
    os.writev(fd, [b"abc", b"", b"defgh"])
    first, second = bytearray(3), bytearray(10)
    answer = os.preadv(fd, [first, second], 1), first.decode(), second.decode("latin-1")
    os.close(fd)
    return answer


@check
def large_write_and_read(d):
    data = bytes(range(256)) * 40961
    put(d + "/f", data)
    return (
        os.stat(d + "/f").st_size,
        hashlib.sha256(get(d + "/f")).hexdigest(),
        os.stat(d + "/f").st_blocks * 512 >= len(data),
    )


@check
def odd_sized_writes(d):
    digest = hashlib.sha256()
    with open(d + "/f", "wb", buffering=0) as file:
        for size in (1, 4095, 4096, 4097, 65537, 131071, 131073, 3):
            data = bytes([size % 251]) * size
            file.write(data)
            digest.update(data)
    return hashlib.sha256(get(d + "/f")).hexdigest() == digest.hexdigest(), os.stat(d + "/f").st_size


@check
def reads_see_other_handles_writes(d):
    writer = os.open(d + "/f", os.O_WRONLY | os.O_CREAT)
    reader = os.open(d + "/f", os.O_RDONLY)
    answers = []
    for i in range(5):
        os.write(writer, b"%d" % i)
        answers += [os.pread(reader, 9, 0).decode(), os.fstat(reader).st_size, os.stat(d + "/f").st_size]
    os.ftruncate(writer, 2)
    answers += [os.pread(reader, 9, 0).decode(), os.fstat(reader).st_size]
    os.close(writer)
    os.close(reader)
    return answers


@check
def truncate_grows_and_shrinks(d):
    put(d + "/f", b"abcdef")
    os.truncate(d + "/f", 3)
    shrunk = text(d + "/f")
    os.truncate(d + "/f", 5)
    return shrunk, repr(get(d + "/f")), e(os.truncate, d + "/f", -1), e(os.truncate, d, 0), e(os.truncate, d + "/no", 0)


@check
def truncate_open_file(d):
    fd = os.open(put(d + "/f", b"abcdef"), os.O_RDWR)
    os.lseek(fd, 4, 0)
    os.ftruncate(fd, 2)
    os.write(fd, b"Z")
    answer = repr(os.pread(fd, 10, 0)), os.fstat(fd).st_size
    os.close(fd)
    return answer


@check
def truncate_to_4_gib(d):
    put(d + "/f")
    os.truncate(d + "/f", 1 << 32)
    return os.stat(d + "/f").st_size, os.stat(d + "/f").st_blocks < 100


@check
def sparse_file(d):
    fd = os.open(d + "/f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x" * 4096, 1 << 20)
    os.ftruncate(fd, 4 << 20)
    answer = [
        os.lseek(fd, 0, os.SEEK_DATA),
        os.lseek(fd, 0, os.SEEK_HOLE),
        os.lseek(fd, 1 << 20, os.SEEK_HOLE),
        e(os.lseek, fd, 2 << 20, os.SEEK_DATA),
        e(os.lseek, fd, 4 << 20, os.SEEK_HOLE),
        os.fstat(fd).st_blocks,
    ]
    os.close(fd)
    return answer


@check
def seek_kinds(d):
    fd = os.open(put(d + "/f", b"abcdef"), os.O_RDWR)
    answer = (
        os.lseek(fd, -2, 2),
        os.read(fd, 9).decode(),
        os.lseek(fd, 100, 0),
        repr(os.read(fd, 1)),
        e(os.lseek, fd, -1, 0),
        e(os.lseek, fd, 0, 99),
        os.lseek(fd, 3, 0),
        os.lseek(fd, 1, 1),
    )
    os.close(fd)
    return answer


@check
def fallocate_plain(d):
    fd = os.open(d + "/f", os.O_RDWR | os.O_CREAT)
    answer = (
        c("fallocate", fd, 0, 0, 10000),
        os.fstat(fd).st_size,
        os.fstat(fd).st_blocks * 512 >= 10000,
        e(os.posix_fallocate, fd, 0, 20000),
        os.fstat(fd).st_size,
    )
    os.close(fd)
    return answer


@check
def fallocate_keeps_size(d):
    fd = os.open(d + "/f", os.O_RDWR | os.O_CREAT)
    answer = c("fallocate", fd, 1, 0, 1 << 20), os.fstat(fd).st_size, os.fstat(fd).st_blocks * 512 >= 1 << 20
    os.close(fd)
    return answer


@check
def fallocate_punches_holes(d):
    fd = os.open(put(d + "/f", b"x" * 16384), os.O_RDWR)
    answer = (
        c("fallocate", fd, 3, 4096, 4096),
        os.fstat(fd).st_size,
        os.pread(fd, 3, 4095).hex(),
        os.fstat(fd).st_blocks,
        c("fallocate", fd, 2, 0, 4096),
    )
    os.close(fd)
    return answer


@check
def fallocate_zeroes_a_range(d):
    fd = os.open(put(d + "/f", b"x" * 16384), os.O_RDWR)
    answer = (
        c("fallocate", fd, 0x10, 100, 8192),
        os.fstat(fd).st_size,
        hashlib.sha256(os.pread(fd, 20000, 0)).hexdigest(),
    )
    os.close(fd)
    return answer


@check
def fallocate_refusals(d):
    fd = os.open(put(d + "/f"), os.O_RDWR)
    reader = os.open(d + "/f", os.O_RDONLY)
    answer = (
        c("fallocate", fd, 0, 0, 0),
        c("fallocate", fd, 0, -1, 10),
        c("fallocate", reader, 0, 0, 10),
        c("fallocate", fd, 0x4000, 0, 10),
    )
    os.close(fd)
    os.close(reader)
    return answer


@check
def copy_file_range_plain(d):
    source = os.open(put(d + "/a", b"0123456789" * 1000), os.O_RDONLY)
    target = os.open(d + "/b", os.O_RDWR | os.O_CREAT)
    copied = 0
    while count := os.copy_file_range(source, target, 1 << 20):
        copied += count
    answer = (
        copied,
        get(d + "/b") == get(d + "/a"),
        os.copy_file_range(source, target, 5, 5, 20000),
        os.fstat(target).st_size,
        e(os.copy_file_range, source, source, 10),
    )
    os.close(source)
    os.close(target)
    return answer


@check
def copy_file_range_overlapping(d):
    fd = os.open(put(d + "/f", b"0123456789"), os.O_RDWR)
    answer = e(os.copy_file_range, fd, fd, 5, 0, 3), e(os.copy_file_range, fd, fd, 3, 0, 7), text(d + "/f")
    os.close(fd)
    return answer


@check
def sendfile_both_ways(d):
    source = os.open(put(d + "/a", b"abc" * 5000), os.O_RDONLY)
    target = os.open(d + "/b", os.O_RDWR | os.O_CREAT)
    offset = 0
    while count := os.sendfile(target, source, offset, 1 << 20):
        offset += count
    os.close(source)
    os.close(target)
    return offset, get(d + "/b") == get(d + "/a")


@check
def splice_through_a_pipe(d):
    put(d + "/a", b"spliced" * 1000)
    reader, writer = os.pipe()
    source, target = os.open(d + "/a", os.O_RDONLY), os.open(d + "/b", os.O_WRONLY | os.O_CREAT)
    total = 0
    while count := os.splice(source, writer, 4096) if hasattr(os, "splice") else 0:
        total += os.splice(reader, target, count)
    for fd in (reader, writer, source, target):
        os.close(fd)
    return total, os.stat(d + "/b").st_size


@check
def shared_mapping(d):
    with open(put(d + "/f", b"\0" * 10000), "r+b") as file:
        memory = mmap.mmap(file.fileno(), 10000)
        memory[5000:5005] = b"store"
        memory.flush()
        seen = get(d + "/f")[5000:5005].decode()
        os.pwrite(file.fileno(), b"write", 7000)
        answer = seen, memory[7000:7005].decode()
        memory.close()
    return answer, hashlib.sha256(get(d + "/f")).hexdigest()


@check
def shared_mapping_between_processes(d):
    with open(put(d + "/f", b"\0" * 4096), "r+b") as file:
        memory = mmap.mmap(file.fileno(), 4096)

        def inside():
            with open(d + "/f", "r+b") as other:
                second = mmap.mmap(other.fileno(), 4096)
                second[0:5] = b"child"
                second.flush()

        child(inside)
        answer = memory[0:5].decode()
        memory.close()
    return answer


@check
def mapping_outlives_its_handle(d):
    fd = os.open(put(d + "/f", b"\0" * 4096), os.O_RDWR)
    memory = mmap.mmap(fd, 4096)
    os.close(fd)
    memory[0:4] = b"late"
    memory.flush()
    memory.close()
    return text(d + "/f")[:4]


@check
def private_mapping(d):
    with open(put(d + "/f", b"abc" * 2000), "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        memory[0:3] = b"xyz"
        answer = memory[0:6].decode()
        memory.close()
    return answer, text(d + "/f")[:6]


@check
def mapping_of_read_only_handle(d):
    fd = os.open(put(d + "/f"), os.O_RDONLY)
    answer = e(lambda: mmap.mmap(fd, 4, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close())
    os.close(fd)
    return answer


@check
def writing_clears_setuid(d):
    put(d + "/f")
    os.chmod(d + "/f", 0o6777)

    def write():
        fd = os.open(d + "/f", os.O_WRONLY)
        os.write(fd, b"x")
        os.close(fd)

    os.chmod(d, 0o777)
    as_user(1501, write)
    return mode(d + "/f")


@check
def opening_keeps_setuid(d):
    """The bits go with what is written, not with the open."""
    files = ("o", os.O_WRONLY, 0o6777), ("rw", os.O_RDWR, 0o4755), ("g", os.O_WRONLY, 0o2775), ("r", os.O_RDONLY, 0o6755)
    for name, flags, m in files:
        os.chown(put(d + "/" + name), 1501, 1501)
        os.chmod(d + "/" + name, m)

    def use():
        fds = [os.open(d + "/" + name, flags) for name, flags, m in files]
        time.sleep(1.2)
        before = [mode(d + "/" + name) for name, flags, m in files]
        for fd in fds:
            e(os.write, fd, b"x")
            os.close(fd)
        return before, [mode(d + "/" + name) for name, flags, m in files]

    return as_user(1501, use)


@check
def truncating_clears_setuid(d):
    put(d + "/f")
    os.chmod(d + "/f", 0o6777)
    os.chmod(d, 0o777)
    as_user(1501, lambda: os.truncate(d + "/f", 1))
    return mode(d + "/f")


@check
def syncs(d):
    fd, directory = os.open(put(d + "/f"), os.O_RDWR), os.open(d, os.O_RDONLY)
    answer = (
        e(os.fsync, fd),
        e(os.fdatasync, fd),
        e(os.fsync, directory),
        e(os.fdatasync, directory),
        c("syncfs", fd),
        c("sync_file_range", fd, 0, 0, 2),
    )
    os.close(fd)
    os.close(directory)
    return answer


@check
def synchronous_handle(d):
    fd = os.open(d + "/f", os.O_WRONLY | os.O_CREAT | os.O_SYNC)
    answer = os.write(fd, b"x" * 5000)
    os.close(fd)
    return answer, os.stat(d + "/f").st_size


@check
def advice(d):
    fd = os.open(put(d + "/f", b"x" * 100000), os.O_RDWR)
    answer = [e(os.posix_fadvise, fd, 0, 0, a) for a in (0, 1, 2, 3, 4, 5)], c("readahead", fd, 0, 100000)
    os.close(fd)
    return answer


@check
def seen_at_once_by_others(d):
    fd = os.open(d + "/f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"unflushed")
    answer = child(lambda: text(d + "/f"))
    os.close(fd)
    return answer


@check
def shared_offset_after_fork(d):
    fd = os.open(d + "/f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"parent ")
    child(lambda: os.write(fd, b"child "))
    os.write(fd, b"parent")
    os.close(fd)
    return text(d + "/f")


@check
def file_size_limit(d):
    import resource

    def inside():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        fd = os.open(d + "/f", os.O_CREAT | os.O_RDWR)
        return os.write(fd, b"x" * 2000), e(os.write, fd, b"x"), e(os.ftruncate, fd, 5000), os.fstat(fd).st_size

    return child(inside)


@check
def two_writers_of_one_file(d):
    put(d + "/f", b"." * 8192)
    first, second = os.open(d + "/f", os.O_RDWR), os.open(d + "/f", os.O_RDWR)
    for i in range(0, 8192, 64):
        os.pwrite(first if i % 128 else second, b"%08d" % i, i)
    answer = hashlib.sha256(get(d + "/f")).hexdigest(), os.pread(first, 8, 64).decode()
    os.close(first)
    os.close(second)
    return answer

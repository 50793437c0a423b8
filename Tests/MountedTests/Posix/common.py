"""POSIX checks: each runs in a fresh directory and returns what can be printed.

The same table runs on a plain directory and on a free directory of a mount: any difference is a failure. Nothing that must differ
(inode numbers, devices, times of day) is returned. main.py ROOT prints one JSON object, check to result.
"""

import ctypes, errno, fcntl, hashlib, json, mmap, os, select, shutil, signal, socket, stat, struct, subprocess, sys, tempfile, time

libc = ctypes.CDLL(None, use_errno=True)
os.umask(0o022)
checks = []


def check(function):
    checks.append(function)
    return function


def e(function, *arguments, **keywords):
    """The result, or the errno's name."""
    try:
        return function(*arguments, **keywords)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def c(name, *arguments):
    """A call of the C library: its result, or the errno's name."""
    function = getattr(libc, name)
    function.restype = ctypes.c_long
    ctypes.set_errno(0)
    answer = function(*[a if not isinstance(a, int) else ctypes.c_long(a) for a in arguments])
    return errno.errorcode[ctypes.get_errno()] if answer in (-1, 0xFFFFFFFF) else answer


def b(path):
    return os.fsencode(path)


def put(path, data=b"data", mode=0o666):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.write(fd, data)
    os.close(fd)
    return path


def get(path):
    with open(path, "rb") as file:
        return file.read()


def text(path):
    return e(lambda: get(path).decode("latin-1"))


def mode(path):
    return e(lambda: oct(os.lstat(path).st_mode))


def opened(path, flags, m=0o666):
    fd = e(os.open, path, flags, m)
    if isinstance(fd, str):
        return fd
    os.close(fd)
    return "ok"


def rename2(a, z, flags):
    return c("renameat2", -100, b(a), -100, b(z), flags)


def child(function):
    """What a forked child's function returns: its own process, so its own locks, umask and ids."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = json.dumps(e(function))
        except BaseException as error:
            answer = json.dumps(repr(error))
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    data = b""
    while chunk := os.read(reader, 65536):
        data += chunk
    os.close(reader)
    os.waitpid(pid, 0)
    return json.loads(data)


def as_user(uid, function, groups=()):
    def inner():
        os.setgroups(list(groups))
        os.setgid(uid)
        os.setuid(uid)
        os.umask(0o022)
        return e(function)

    return child(inner)

"""Runs on a host: carries out lines of Python, each with an answer of one line, so that a campaign says step for step which host does what."""

import ast, ctypes, errno, fcntl, os, sys, threading, time  # noqa: E401: what the lines need

LIBC = ctypes.CDLL(None, use_errno=True)


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def rename2(old, new, flags):
    """renameat2(2): 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE."""
    if LIBC.renameat2(-100, old.encode(), -100, new.encode(), flags):
        raise OSError(ctypes.get_errno(), new)


def put(path, data, flags=os.O_CREAT | os.O_TRUNC):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.write(fd, data.encode())
    finally:
        os.close(fd)


def get(path):
    with open(path, "rb") as file:
        return file.read().decode()


def attempt(call, *arguments):
    """What a call gives: `ok`, its value, or the name of its error."""
    try:
        value = call(*arguments)
        return "ok" if value is None else value
    except OSError as error:
        return name_of(error)


def until(test, seconds=90):
    """How many seconds pass until the test holds; None when it does not in that time."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if test():
            return round(time.monotonic() - begun, 2)
        time.sleep(0.01)
    return None


def timed(call, *arguments):
    begun = time.monotonic()
    value = attempt(call, *arguments)
    return value, round(time.monotonic() - begun, 1)


def shown(value):
    """A value as text of Python that can be read back."""
    try:
        return repr(ast.literal_eval(repr(value)))
    except (SyntaxError, ValueError):
        return repr("done")


KEPT = {}
THREADS = {}


def later(name, call, *arguments):
    """Does a call in a thread; `THREADS[name]` has what it gave and how long it took."""
    def work():
        THREADS[name] = timed(call, *arguments)
    THREADS[name] = None
    threading.Thread(target=work, daemon=True).start()


for line in sys.stdin:
    try:
        print(shown(eval(line, globals())), flush=True)
    except SyntaxError:  # A statement.
        exec(line, globals())
        print("None", flush=True)
    except Exception as error:
        print(repr(f"{type(error).__name__}: {error}"), flush=True)

"""Attributes: modes, owners, times, extended attributes."""

from common import *


@check
def umask_applies(d):
    def inside(mask):
        os.umask(mask)
        put(d + "/f%o" % mask)
        os.mkdir(d + "/d%o" % mask)
        os.mkfifo(d + "/p%o" % mask)
        return mode(d + "/f%o" % mask), mode(d + "/d%o" % mask), mode(d + "/p%o" % mask)

    return [child(lambda: inside(mask)) for mask in (0, 0o022, 0o027, 0o077, 0o777)]


@check
def create_modes(d):
    answers = []
    for m in (0o777, 0o600, 0o444, 0o0, 0o4755, 0o2755, 0o1644):
        fd = os.open(d + "/f%o" % m, os.O_CREAT | os.O_RDWR, m)
        answers.append((mode(d + "/f%o" % m), e(os.write, fd, b"x")))
        os.close(fd)
    return answers


@check
def chmod_kinds(d):
    put(d + "/f")
    answers = []
    for m in (0o644, 0o0, 0o7777, 0o755):
        os.chmod(d + "/f", m)
        os.chmod(d, m | 0o700)
        answers.append((mode(d + "/f"), mode(d)))
    return answers, e(os.chmod, d + "/no", 0o644)


@check
def fchmod_and_fchown(d):
    fd = os.open(put(d + "/f"), os.O_RDONLY)
    os.fchmod(fd, 0o640)
    os.fchown(fd, 1501, 1502)
    answer = os.fstat(fd)
    os.close(fd)
    return oct(answer.st_mode), answer.st_uid, answer.st_gid


@check
def chown_kinds(d):
    put(d + "/f")
    os.symlink("f", d + "/l")
    answers = []
    for user, group in ((1501, 1502), (-1, 1503), (1504, -1), (-1, -1)):
        os.chown(d + "/f", user, group)
        answers.append((os.stat(d + "/f").st_uid, os.stat(d + "/f").st_gid))
    os.lchown(d + "/l", 7, 8)
    return answers, os.lstat(d + "/l").st_uid, os.stat(d + "/f").st_uid


@check
def chown_clears_setuid(d):
    put(d + "/f")
    os.chmod(d + "/f", 0o6755)
    os.chown(d + "/f", 1501, 1501)
    return mode(d + "/f")


@check
def chown_by_others(d):
    put(d + "/f")
    os.chown(d + "/f", 1501, 1501)
    return (
        as_user(1501, lambda: os.chown(d + "/f", 1502, -1)),
        as_user(1501, lambda: os.chown(d + "/f", -1, 1502)),
        as_user(1501, lambda: os.chown(d + "/f", -1, 1501)),
        as_user(1502, lambda: os.chown(d + "/f", 1502, -1)),
        as_user(1502, lambda: os.chmod(d + "/f", 0o777)),
    )


@check
def chmod_drops_foreign_setgid(d):
    put(d + "/f")
    os.chown(d + "/f", 1501, 1600)
    return (
        as_user(1501, lambda: os.chmod(d + "/f", 0o2755)),
        mode(d + "/f"),
        as_user(1501, lambda: os.chmod(d + "/f", 0o4755)),
        mode(d + "/f"),
    )


@check
def setgid_directory(d):
    os.mkdir(d + "/g")
    os.chown(d + "/g", 0, 1600)
    os.chmod(d + "/g", 0o2777)

    def inside():
        put(d + "/g/f")
        os.mkdir(d + "/g/d")
        os.symlink("x", d + "/g/l")

    as_user(1501, inside)
    return [
        (n, oct(os.lstat(d + "/g/" + n).st_mode), os.lstat(d + "/g/" + n).st_uid, os.lstat(d + "/g/" + n).st_gid)
        for n in ("f", "d", "l")
    ]


@check
def owners_of_new_things(d):
    os.chmod(d, 0o777)

    def inside():
        put(d + "/f")
        os.mkdir(d + "/d")
        os.symlink("x", d + "/l")
        os.mkfifo(d + "/p")
        os.link(d + "/f", d + "/h")
        s = socket.socket(socket.AF_UNIX)
        s.bind(d + "/s")

    as_user(1501, inside)
    return [
        (n, os.lstat(d + "/" + n).st_uid, os.lstat(d + "/" + n).st_gid, oct(os.lstat(d + "/" + n).st_mode))
        for n in sorted(os.listdir(d))
    ]


@check
def modes_are_enforced(d):
    os.chmod(d, 0o755)
    put(d + "/private", b"secret")
    os.chmod(d + "/private", 0o600)
    put(d + "/readable")
    os.mkdir(d + "/closed", 0o700)
    os.mkdir(d + "/list", 0o744)
    put(d + "/list/f")
    os.mkdir(d + "/pass", 0o711)
    put(d + "/pass/f")
    return [
        as_user(1501, f)
        for f in (
            lambda: text(d + "/private"),
            lambda: text(d + "/readable"),
            lambda: opened(d + "/readable", os.O_WRONLY),
            lambda: put(d + "/new"),
            lambda: e(os.listdir, d + "/closed"),
            lambda: e(os.listdir, d + "/list"),
            lambda: text(d + "/list/f"),
            lambda: e(os.listdir, d + "/pass"),
            lambda: text(d + "/pass/f"),
            lambda: e(os.unlink, d + "/readable"),
            lambda: e(os.rename, d + "/readable", d + "/x"),
            lambda: e(os.mkdir, d + "/m"),
            lambda: e(os.truncate, d + "/readable", 0),
            lambda: e(os.utime, d + "/readable", (1, 1)),
            lambda: e(os.utime, d + "/readable"),
        )
    ]


@check
def owner_may_write_what_it_creates_read_only(d):
    os.chmod(d, 0o777)

    def inside():
        fd = os.open(d + "/f", os.O_CREAT | os.O_WRONLY, 0o400)
        count = os.write(fd, b"abc")
        os.close(fd)
        return count, opened(d + "/f", os.O_WRONLY)

    return as_user(1501, inside), mode(d + "/f"), os.stat(d + "/f").st_size


@check
def supplementary_groups(d):
    put(d + "/f", b"shared")
    os.chown(d + "/f", 0, 1600)
    os.chmod(d + "/f", 0o660)
    return (
        as_user(1501, lambda: text(d + "/f")),
        as_user(1501, lambda: text(d + "/f"), groups=(1600,)),
        as_user(1501, lambda: opened(d + "/f", os.O_WRONLY), groups=(1599, 1600)),
    )


@check
def sticky_directory(d):
    os.mkdir(d + "/t")
    os.chmod(d + "/t", 0o1777)
    as_user(1501, lambda: put(d + "/t/f"))
    as_user(1501, lambda: put(d + "/t/g"))
    as_user(1502, lambda: put(d + "/t/mine"))
    return (
        as_user(1502, lambda: os.unlink(d + "/t/f")),
        as_user(1502, lambda: os.rename(d + "/t/f", d + "/t/x")),
        as_user(1502, lambda: os.rename(d + "/t/mine", d + "/t/g")),
        as_user(1501, lambda: os.unlink(d + "/t/f")),
        sorted(os.listdir(d + "/t")),
    )


@check
def access_answers(d):
    put(d + "/f")
    os.chmod(d + "/f", 0o640)
    os.chmod(d, 0o755)
    return [
        [os.access(d + "/f", m) for m in (0, 1, 2, 4, 6)],
        as_user(1501, lambda: [os.access(d + "/f", m) for m in (0, 1, 2, 4, 6)]),
        as_user(1501, lambda: [os.access(d, m) for m in (0, 1, 2, 4, 5)]),
        os.access(d + "/no", 0),
    ]


@check
def utime_kinds(d):
    put(d + "/f")
    os.utime(d + "/f", ns=(1_000_000_000_123_456_789, 2_000_000_000_987_654_321))
    first = os.stat(d + "/f")
    os.symlink("f", d + "/l")
    os.utime(d + "/l", (5, 6), follow_symlinks=False)
    return (
        first.st_atime_ns,
        first.st_mtime_ns,
        os.lstat(d + "/l").st_mtime,
        os.stat(d + "/f").st_mtime_ns,
        e(os.utime, d + "/no", (1, 1)),
    )


def utimens(path, atime, mtime, flags=0):
    return c("utimensat", -100, b(path), struct.pack("qqqq", *atime, *mtime), flags)


@check
def utime_omit_and_now(d):
    put(d + "/f")
    omit, now = (0, 0x3FFFFFFE), (0, 0x3FFFFFFF)
    answers = [utimens(d + "/f", (100, 5), (200, 6)), utimens(d + "/f", omit, (300, 7))]
    s = os.stat(d + "/f")
    answers += [s.st_atime_ns, s.st_mtime_ns, utimens(d + "/f", (400, 8), omit)]
    s = os.stat(d + "/f")
    answers += [s.st_atime_ns, s.st_mtime_ns, utimens(d + "/f", omit, now)]
    s = os.stat(d + "/f")
    return answers + [
        s.st_atime_ns,
        abs(s.st_mtime - time.time()) < 30,
        utimens(d + "/f", omit, omit),
        utimens(d + "/f", (1, 1_000_000_000), omit),
    ]


@check
def utime_far_dates(d):
    put(d + "/f")
    answers = []
    for seconds in (-1, 0, 1 << 31, (1 << 33) + 5):
        answers += [e(os.utime, d + "/f", (seconds, seconds)), os.stat(d + "/f").st_mtime]
    return answers


@check
def utime_by_others(d):
    put(d + "/f")
    os.chmod(d + "/f", 0o666)
    return (
        as_user(1501, lambda: os.utime(d + "/f", (1, 1))),
        as_user(1501, lambda: os.utime(d + "/f")),
        as_user(1501, lambda: os.chmod(d + "/f", 0o600)),
    )


@check
def times_move_on_change(d):
    put(d + "/f")

    def old(path):
        os.utime(path, (1000, 1000))

    def changed(path, action):
        old(path)
        action()
        return os.stat(path).st_mtime > 1000

    return [
        changed(d + "/f", lambda: put(d + "/f", b"x")),
        changed(d + "/f", lambda: os.truncate(d + "/f", 0)),
        changed(d + "/f", lambda: os.chmod(d + "/f", 0o600)),
        changed(d + "/f", lambda: get(d + "/f")),
        changed(d, lambda: put(d + "/g")),
        changed(d, lambda: os.unlink(d + "/g")),
        changed(d, lambda: os.mkdir(d + "/h")),
        changed(d, lambda: os.rename(d + "/h", d + "/i")),
        changed(d, lambda: put(d + "/f", b"y")),
        changed(d, lambda: os.symlink("a", d + "/l")),
    ]


@check
def ctime_moves_on_change(d):
    put(d + "/f")
    answers = []
    for action in (
        lambda: os.chmod(d + "/f", 0o600),
        lambda: os.link(d + "/f", d + "/g"),
        lambda: os.unlink(d + "/g"),
        lambda: os.rename(d + "/f", d + "/x"),
        lambda: os.rename(d + "/x", d + "/f"),
        lambda: os.utime(d + "/f", (1, 1)),
        lambda: os.setxattr(d + "/f", "user.a", b"b"),
    ):
        before = os.stat(d + "/f").st_ctime_ns
        time.sleep(0.012)
        action()
        found = d + "/f" if os.path.exists(d + "/f") else d + "/x"
        answers.append(os.stat(found).st_ctime_ns > before)
    return answers


@check
def stat_fields(d):
    put(d + "/f", b"x" * 5000)
    s = os.stat(d + "/f")
    return (
        s.st_size,
        s.st_blocks,
        s.st_blksize,
        s.st_nlink,
        s.st_uid,
        s.st_gid,
        oct(s.st_mode),
        s.st_ino > 0,
        abs(s.st_mtime - time.time()) < 30,
    )


@check
def birth_time(d):
    put(d + "/f")
    return subprocess.run(["stat", "-c", "%s %a %F %h", d + "/f"], capture_output=True, text=True).stdout


@check
def statvfs_fields(d):
    s = os.statvfs(d)
    return s.f_bsize, s.f_frsize, s.f_blocks > 0, s.f_bavail > 0, s.f_files > 0, s.f_namemax


@check
def xattr_kinds(d):
    put(d + "/f")
    return (
        e(os.setxattr, d + "/f", "user.a", b"one"),
        repr(e(os.getxattr, d + "/f", "user.a")),
        e(os.setxattr, d + "/f", "user.a", b"two", os.XATTR_CREATE),
        e(os.setxattr, d + "/f", "user.b", b"x", os.XATTR_REPLACE),
        e(os.setxattr, d + "/f", "user.a", b"three", os.XATTR_REPLACE),
        e(os.setxattr, d + "/f", "user.empty", b""),
        sorted(os.listxattr(d + "/f")),
        repr(e(os.getxattr, d + "/f", "user.empty")),
        e(os.removexattr, d + "/f", "user.a"),
        e(os.removexattr, d + "/f", "user.a"),
        repr(e(os.getxattr, d + "/f", "user.a")),
        os.listxattr(d + "/f"),
    )


@check
def xattr_of_directories_and_links(d):
    os.symlink("f", d + "/l")
    os.mkdir(d + "/d")
    return (
        e(os.setxattr, d + "/d", "user.a", b"d"),
        os.listxattr(d + "/d"),
        e(os.setxattr, d + "/l", "user.a", b"l", 0, follow_symlinks=False),
        e(os.listxattr, d + "/l", follow_symlinks=False),
        e(os.setxattr, d + "/d", "trusted.t", b"root"),
        sorted(os.listxattr(d + "/d")),
    )


@check
def xattr_limits(d):
    put(d + "/f")
    return (
        e(os.setxattr, d + "/f", "user." + "n" * 250, b"v"),
        e(os.setxattr, d + "/f", "user." + "n" * 251, b"v"),
        e(os.setxattr, d + "/f", "user.big", b"v" * 2000),
        len(e(os.getxattr, d + "/f", "user.big")),
        e(os.setxattr, d + "/f", "user.huge", b"v" * 65537),
        e(os.setxattr, d + "/f", "nonamespace", b"v"),
        e(os.setxattr, d + "/f", "user.", b"v"),
        e(os.setxattr, d + "/no", "user.a", b"v"),
    )


@check
def xattr_sizes(d):
    put(d + "/f")
    os.setxattr(d + "/f", "user.a", b"12345")
    space = ctypes.create_string_buffer(100)
    return (
        c("getxattr", b(d + "/f"), b"user.a", None, 0),
        c("getxattr", b(d + "/f"), b"user.a", space, 3),
        c("listxattr", b(d + "/f"), None, 0),
        c("listxattr", b(d + "/f"), space, 3),
        c("getxattr", b(d + "/f"), b"user.none", None, 0),
    )


@check
def xattr_binary_values(d):
    put(d + "/f")
    os.setxattr(d + "/f", "user.bin", bytes(range(256)))
    return os.getxattr(d + "/f", "user.bin").hex()


@check
def xattr_by_others(d):
    put(d + "/f")
    os.setxattr(d + "/f", "user.a", b"x")
    return (
        as_user(1501, lambda: os.setxattr(d + "/f", "user.b", b"x")),
        as_user(1501, lambda: os.getxattr(d + "/f", "user.a").decode()),
        as_user(1501, lambda: os.removexattr(d + "/f", "user.a")),
        as_user(1501, lambda: os.setxattr(d + "/f", "trusted.x", b"x")),
    )


@check
def acl_by_xattr(d):
    put(d + "/f")
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", t, p, i)
        for t, p, i in (
            (1, 6, 0xFFFFFFFF),
            (2, 4, 1501),
            (4, 4, 0xFFFFFFFF),
            (0x10, 4, 0xFFFFFFFF),
            (0x20, 0, 0xFFFFFFFF),
        )
    )
    # Access control lists are the underlying file system's and the mount's options' matter: only that a failure is clean is compared.
    answer = e(os.setxattr, d + "/f", "system.posix_acl_access", acl)
    return answer in (None, "EOPNOTSUPP"), text(d + "/f")

"""Names: open, mkdir, rmdir, unlink, rename, links."""

from common import *


@check
def create_exclusive(d):
    return opened(d + "/f", os.O_CREAT | os.O_EXCL | os.O_WRONLY), opened(
        d + "/f", os.O_CREAT | os.O_EXCL | os.O_WRONLY
    )


@check
def create_exclusive_over_dangling_link(d):
    os.symlink("nowhere", d + "/l")
    return opened(d + "/l", os.O_CREAT | os.O_EXCL | os.O_WRONLY), os.listdir(d)


@check
def create_through_dangling_link(d):
    os.symlink("there", d + "/l")
    return opened(d + "/l", os.O_CREAT | os.O_WRONLY), sorted(os.listdir(d))


@check
def open_missing(d):
    return (
        opened(d + "/f", os.O_RDONLY),
        opened(d + "/f", os.O_WRONLY | os.O_TRUNC),
        opened(d + "/no/f", os.O_CREAT | os.O_WRONLY),
    )


@check
def open_under_a_file(d):
    return (
        opened(put(d + "/f") + "/x", os.O_RDONLY),
        opened(d + "/f/x", os.O_CREAT | os.O_WRONLY),
        e(os.lstat, d + "/f/"),
    )


@check
def open_directory_to_write(d):
    return opened(d, os.O_WRONLY), opened(d, os.O_RDWR), opened(d, os.O_RDONLY | os.O_CREAT)


@check
def open_directory_flag(d):
    return opened(d, os.O_DIRECTORY), opened(put(d + "/f"), os.O_DIRECTORY)


@check
def open_nofollow(d):
    os.symlink("f", d + "/l")
    put(d + "/f")
    return opened(d + "/l", os.O_NOFOLLOW), opened(d + "/f", os.O_NOFOLLOW), opened(d + "/l", os.O_RDONLY)


@check
def open_path_only(d):
    fd = os.open(put(d + "/f"), os.O_PATH)
    answer = e(os.read, fd, 1), os.fstat(fd).st_size, get("/proc/self/fd/%d" % fd)
    os.close(fd)
    return repr(answer)


@check
def open_path_of_a_link(d):
    os.symlink("f", d + "/l")
    fd = os.open(d + "/l", os.O_PATH | os.O_NOFOLLOW)
    answer = stat.S_ISLNK(os.fstat(fd).st_mode), e(os.readlink, "", dir_fd=fd)
    os.close(fd)
    return answer


@check
def open_truncates(d):
    put(d + "/f", b"longer")
    return opened(d + "/f", os.O_WRONLY | os.O_TRUNC), os.stat(d + "/f").st_size


@check
def open_read_only_and_truncate(d):
    put(d + "/f", b"longer")
    return opened(d + "/f", os.O_RDONLY | os.O_TRUNC), os.stat(d + "/f").st_size


@check
def open_of_unnamed_file(d):
    fd = e(os.open, d, os.O_TMPFILE | os.O_RDWR, 0o600)
    if isinstance(fd, str):
        return "no O_TMPFILE" if fd in ("EOPNOTSUPP", "ENOTSUP", "EISDIR") else fd
    os.close(fd)
    return "no O_TMPFILE"  # Neither libfuse's interface before 3.17 nor bind mounts of every kind have it: programs fall back.


@check
def read_a_directory(d):
    fd = os.open(d, os.O_RDONLY)
    answer = e(os.read, fd, 10)
    os.close(fd)
    return answer


@check
def write_to_read_only_handle(d):
    fd = os.open(put(d + "/f"), os.O_RDONLY)
    answer = e(os.write, fd, b"x"), e(os.ftruncate, fd, 0)
    os.close(fd)
    return answer


@check
def read_from_write_only_handle(d):
    fd = os.open(put(d + "/f"), os.O_WRONLY)
    answer = e(os.read, fd, 1)
    os.close(fd)
    return answer


@check
def name_of_255_bytes(d):
    return (
        opened(d + "/" + "n" * 255, os.O_CREAT | os.O_WRONLY),
        [len(n) for n in os.listdir(d)],
        e(os.mkdir, d + "/" + "d" * 255),
    )


@check
def name_of_256_bytes(d):
    return (
        opened(d + "/" + "n" * 256, os.O_CREAT | os.O_WRONLY),
        e(os.mkdir, d + "/" + "n" * 256),
        e(os.lstat, d + "/" + "n" * 256),
        e(os.unlink, d + "/" + "n" * 256),
    )


@check
def name_with_newline(d):
    return opened(d + "/a\nb\tc", os.O_CREAT | os.O_WRONLY), os.listdir(d)


@check
def name_of_invalid_utf8(d):
    fd = os.open(b(d) + b"/\xff\xfe\x80", os.O_CREAT | os.O_WRONLY)
    os.close(fd)
    return [n.hex() for n in os.listdir(b(d))], e(os.unlink, b(d) + b"/\xff\xfe\x80")


@check
def names_that_look_special(d):
    names = [
        "...",
        " ",
        "-rf",
        "*",
        "\\",
        "'",
        '"',
        "%s",
        "a:b",
        "\x01\x7f",
        "\u00e9",
        "e\u0301",
        ".hidden",
        "CON",
        "a.tmp",
        "tmpx",
        "sedABCDEF",
        "x~",
        ".meta",
        ".artifactfs",
        ".fuse_hidden",
    ]
    for name in names:
        put(d + "/" + name)
    return sorted(os.listdir(d)) == sorted(names), sorted(n for n in names if n not in os.listdir(d))


@check
def names_differ_by_case(d):
    return (
        opened(d + "/a", os.O_CREAT | os.O_WRONLY),
        opened(d + "/A", os.O_CREAT | os.O_EXCL | os.O_WRONLY),
        sorted(os.listdir(d)),
    )


@check
def path_of_4095_bytes(d):
    deep = d + "/d" * 100
    os.makedirs(deep)
    path = deep + "/" + "./" * ((4094 - len(deep)) // 2)
    return e(lambda: stat.S_ISDIR(os.stat(path).st_mode)), e(os.stat, path + "/./" * 10)


@check
def deep_tree(d):
    path = d
    for _ in range(150):
        path += "/level"
        os.mkdir(path)
    put(path + "/f")
    shutil.rmtree(d + "/level")
    return os.listdir(d)


@check
def dot_and_dot_dot(d):
    os.makedirs(d + "/a/b")
    put(d + "/f")
    return (
        text(d + "/a/b/../../f"),
        e(os.mkdir, d + "/."),
        e(os.mkdir, d + "/a/.."),
        e(os.rmdir, d + "/a/."),
        e(os.rmdir, d + "/a/b/.."),
        e(os.rename, d + "/a/.", d + "/x"),
        e(os.unlink, d + "/a/.."),
    )


@check
def empty_path(d):
    return opened("", os.O_RDONLY), e(os.mkdir, "")


@check
def trailing_slash(d):
    put(d + "/f")
    os.mkdir(d + "/e")
    return (
        e(os.mkdir, d + "/d/"),
        opened(d + "/f/", os.O_RDONLY),
        opened(d + "/new/", os.O_CREAT | os.O_WRONLY),
        e(os.rename, d + "/f", d + "/g/"),
        e(os.rename, d + "/e/", d + "/h/"),
        e(os.unlink, d + "/f/"),
        sorted(os.listdir(d)),
    )


@check
def mkdir_modes(d):
    answers = []
    for m in (0o777, 0o700, 0o1777, 0o2755, 0o0):
        os.mkdir(d + "/d%o" % m, m)
        answers.append(mode(d + "/d%o" % m))
    return answers


@check
def mkdir_existing(d):
    return (
        e(os.mkdir, d),
        e(os.mkdir, put(d + "/f")),
        e(os.symlink, "no", d + "/l"),
        e(os.mkdir, d + "/l"),
        e(os.mkdir, d + "/no/d"),
        e(os.mkdir, d + "/f/d"),
    )


@check
def rmdir_kinds(d):
    os.makedirs(d + "/a/b")
    put(d + "/f")
    os.symlink("a", d + "/l")
    return (
        e(os.rmdir, d + "/a"),
        e(os.rmdir, d + "/f"),
        e(os.rmdir, d + "/l"),
        e(os.rmdir, d + "/no"),
        e(os.rmdir, d + "/a/b"),
        e(os.rmdir, d + "/a"),
    )


@check
def rmdir_while_open(d):
    os.mkdir(d + "/a")
    fd = os.open(d + "/a", os.O_RDONLY)
    os.rmdir(d + "/a")
    answer = (
        e(os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=fd),
        e(os.fstat, fd) != "ESTALE",
        e(os.mkdir, "d", dir_fd=fd),
        os.fstat(fd).st_nlink,
    )
    os.close(fd)
    return answer


@check
def rmdir_of_working_directory(d):
    os.mkdir(d + "/a")

    def inside():
        os.chdir(d + "/a")
        os.rmdir(d + "/a")
        return e(os.getcwd), opened("f", os.O_CREAT | os.O_WRONLY)

    return child(inside)


@check
def directory_link_counts(d):
    before = os.stat(d).st_nlink
    os.makedirs(d + "/a/b")
    os.mkdir(d + "/c")
    during = os.stat(d).st_nlink, os.stat(d + "/a").st_nlink
    os.rename(d + "/c", d + "/a/c")
    after = os.stat(d).st_nlink, os.stat(d + "/a").st_nlink
    return before, during, after


@check
def unlink_kinds(d):
    os.mkdir(d + "/a")
    os.symlink("a", d + "/l")
    return e(os.unlink, d + "/a"), e(os.unlink, d + "/l"), e(os.unlink, d + "/no"), sorted(os.listdir(d))


@check
def unlink_while_open(d):
    fd = os.open(d + "/f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"kept")
    os.unlink(d + "/f")
    answer = (
        os.fstat(fd).st_nlink,
        os.fstat(fd).st_size,
        os.pread(fd, 10, 0).decode(),
        os.pwrite(fd, b"more", 4),
        os.fstat(fd).st_size,
        os.listdir(d),
        e(os.ftruncate, fd, 2),
        e(os.fchmod, fd, 0o600),
        oct(os.fstat(fd).st_mode),
        e(os.fsync, fd),
    )
    os.close(fd)
    return answer


@check
def unlink_then_create_again_while_open(d):
    first = os.open(d + "/f", os.O_CREAT | os.O_RDWR)
    os.write(first, b"old")
    os.unlink(d + "/f")
    put(d + "/f", b"newer")
    answer = os.pread(first, 10, 0).decode(), text(d + "/f"), os.fstat(first).st_ino != os.stat(d + "/f").st_ino
    os.close(first)
    return answer


@check
def unlink_mapped_file(d):
    with open(d + "/f", "w+b") as file:
        file.write(b"x" * 8192)
        file.flush()
        memory = mmap.mmap(file.fileno(), 8192)
        os.unlink(d + "/f")
        memory[5000:5003] = b"abc"
        answer = memory[4999:5004].decode(), os.pread(file.fileno(), 5, 4999).decode()
        memory.close()
    return answer


@check
def rename_plain(d):
    return e(os.rename, put(d + "/a"), d + "/b"), os.listdir(d), text(d + "/b")


@check
def rename_over_file(d):
    put(d + "/a", b"A")
    put(d + "/b", b"B")
    fd = os.open(d + "/b", os.O_RDONLY)
    answer = (
        e(os.rename, d + "/a", d + "/b"),
        text(d + "/b"),
        os.read(fd, 9).decode(),
        os.fstat(fd).st_nlink,
        os.listdir(d),
    )
    os.close(fd)
    return answer


@check
def rename_over_directories(d):
    os.makedirs(d + "/full/x")
    os.mkdir(d + "/empty")
    os.mkdir(d + "/a")
    put(d + "/f")
    return (
        e(os.rename, d + "/a", d + "/full"),
        e(os.rename, d + "/a", d + "/empty"),
        e(os.rename, d + "/f", d + "/empty"),
        e(os.rename, d + "/empty", d + "/f"),
        sorted(os.listdir(d)),
    )


@check
def rename_self_and_ancestor(d):
    os.makedirs(d + "/a/b/c")
    put(d + "/f")
    return (
        e(os.rename, d + "/f", d + "/f"),
        e(os.rename, d + "/a", d + "/a/b/x"),
        e(os.rename, d + "/a/b/c", d + "/a"),
        e(os.rename, d + "/a", d + "/a"),
        text(d + "/f"),
    )


@check
def rename_missing(d):
    return (
        e(os.rename, d + "/no", d + "/x"),
        e(os.rename, put(d + "/f"), d + "/no/x"),
        e(os.rename, d + "/f", d + "/f/x"),
    )


@check
def rename_hard_links_of_one_file(d):
    os.link(put(d + "/a"), d + "/b")
    return e(os.rename, d + "/a", d + "/b"), sorted(os.listdir(d))


@check
def rename_between_directories(d):
    os.makedirs(d + "/x")
    os.makedirs(d + "/y/z")
    put(d + "/x/f")
    fd = os.open(d + "/x/f", os.O_RDWR)
    answer = (
        e(os.rename, d + "/x/f", d + "/y/z/g"),
        os.pwrite(fd, b"D", 0),
        text(d + "/y/z/g"),
        e(os.rename, d + "/y", d + "/x/y"),
        text(d + "/x/y/z/g"),
        os.listdir(d),
    )
    os.close(fd)
    return answer


@check
def rename_link_itself(d):
    os.symlink("f", d + "/l")
    put(d + "/f")
    return e(os.rename, d + "/l", d + "/m"), os.readlink(d + "/m"), sorted(os.listdir(d))


@check
def rename_over_link(d):
    os.symlink("g", d + "/l")
    put(d + "/g", b"G")
    return e(os.rename, put(d + "/f", b"F"), d + "/l"), text(d + "/g"), text(d + "/l"), mode(d + "/l")


@check
def rename_no_replace(d):
    return (
        rename2(put(d + "/a"), put(d + "/b"), 1),
        rename2(d + "/a", d + "/c", 1),
        sorted(os.listdir(d)),
        rename2(d + "/c", d + "/c", 1),
    )


@check
def rename_exchange(d):
    put(d + "/a", b"A")
    os.mkdir(d + "/b")
    put(d + "/b/in", b"I")
    return (
        rename2(d + "/a", d + "/b", 2),
        text(d + "/a/in"),
        text(d + "/b"),
        rename2(d + "/a", d + "/no", 2),
        rename2(d + "/a", d + "/b", 3),
    )


@check
def rename_exchange_with_descendant(d):
    os.makedirs(d + "/a/b")
    return rename2(d + "/a", d + "/a/b", 2), rename2(d + "/a/b", d + "/a", 2)


@check
def rename_unknown_flags(d):
    return rename2(put(d + "/a"), d + "/b", 128)


@check
def link_counts(d):
    put(d + "/a")
    counts = [os.stat(d + "/a").st_nlink]
    os.link(d + "/a", d + "/b")
    counts.append(os.stat(d + "/a").st_nlink)
    same = os.stat(d + "/a").st_ino == os.stat(d + "/b").st_ino
    os.unlink(d + "/a")
    counts.append(os.stat(d + "/b").st_nlink)
    return counts, same, text(d + "/b")


@check
def link_writes_are_shared(d):
    os.link(put(d + "/a"), d + "/b")
    put(d + "/b", b"through b")
    os.chmod(d + "/a", 0o600)
    return text(d + "/a"), mode(d + "/b")


@check
def link_refusals(d):
    put(d + "/a")
    os.mkdir(d + "/d")
    return (
        e(os.link, d + "/a", d + "/a"),
        e(os.link, d + "/d", d + "/e"),
        e(os.link, d + "/no", d + "/x"),
        e(os.link, d + "/a", d + "/no/x"),
        e(os.link, d + "/a", d + "/d"),
    )


@check
def link_to_a_symbolic_link(d):
    os.symlink("f", d + "/l")
    os.link(d + "/l", d + "/m", follow_symlinks=False)
    return os.readlink(d + "/m"), os.lstat(d + "/l").st_nlink


@check
def link_from_open_descriptor(d):
    put(d + "/a")
    fd = os.open(d + "/a", os.O_RDONLY)
    answer = c("linkat", -100, b("/proc/self/fd/%d" % fd), -100, b(d + "/b"), 0x400), text(d + "/b")
    os.close(fd)
    return answer


@check
def symlink_kinds(d):
    os.symlink("x" * 4000, d + "/long")
    os.symlink("/etc/passwd", d + "/absolute")
    os.symlink("../..", d + "/up")
    return (
        len(os.readlink(d + "/long")),
        os.readlink(d + "/absolute"),
        os.lstat(d + "/absolute").st_size,
        mode(d + "/up"),
        e(os.symlink, "x", d + "/up"),
        e(os.symlink, "", d + "/none"),
        e(os.readlink, put(d + "/f")),
        e(os.symlink, "y" * 4096, d + "/toolong"),
    )


@check
def symlink_loops(d):
    os.symlink("b", d + "/a")
    os.symlink("a", d + "/b")
    return opened(d + "/a", os.O_RDONLY), e(os.stat, d + "/a"), e(os.rmdir, d + "/a/x"), e(os.unlink, d + "/a")


@check
def symlink_to_directory(d):
    os.mkdir(d + "/a")
    os.symlink("a", d + "/l")
    put(d + "/l/f", b"through")
    return (
        text(d + "/a/f"),
        e(os.mkdir, d + "/l/x"),
        sorted(os.listdir(d + "/l")),
        os.path.realpath(d + "/l") == os.path.realpath(d) + "/a",
    )


@check
def symlink_chain_of_41(d):
    put(d + "/l0")
    for i in range(41):
        os.symlink("l%d" % i, d + "/l%d" % (i + 1))
    return text(d + "/l40"), text(d + "/l41")

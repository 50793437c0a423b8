"""What each system call does to a model's processes, descriptors and names."""

import os
import re

from state import File, Open, Process
from straced import TraceError, descriptor, split_arguments, string


class Calls:
    """The calls that `Model` follows, a method each."""

    # Calls: opening

    def opening(self, process, call, base, path, flags):
        if not call.succeeded:
            return
        closes = "O_CLOEXEC" in flags
        name = call.target or ""
        access = "rw" if "O_RDWR" in flags else "w" if "O_WRONLY" in flags else "r"
        channel = self.channel(name)
        if channel is not None:
            self.install(process, call.value, Open(channel, "r" in access, "w" in access, process, name=name), closes)
            return
        inner = self.canonical(name) if name.startswith(self.mount + "/") else None
        if inner is None or not self.is_artifact(inner) or "O_DIRECTORY" in flags or "O_PATH" in flags:
            self.install(process, call.value, Open(None, True, True, process, name=name), closes)
            return
        if "O_EXCL" in flags or inner not in self.names:
            self.names[inner] = File(inner)
        target = self.names[inner]
        if "O_TRUNC" in flags:
            target.edges = {}
        # What is cut as it is opened, or made new, holds nothing that could be read.
        reads = "r" in access and not ("O_TRUNC" in flags or "O_EXCL" in flags)
        opened = Open(target, reads, "w" in access, process, inner if reads else "", name)
        self.install(process, call.value, opened, closes)
        if reads:
            self.opened.setdefault(inner, call.time)
            self.open_times.append((call.time, process.number, inner))
            if self.opens:
                self.learn_open(process, opened)

    def do_openat(self, process, call):
        self.opening(process, call, descriptor(call.arguments[0]), string(call.arguments[1]), call.arguments[2])

    do_openat2 = do_openat

    def do_open(self, process, call):
        self.opening(process, call, None, string(call.arguments[0]), call.arguments[1])

    def do_creat(self, process, call):
        self.opening(process, call, None, string(call.arguments[0]), "O_WRONLY|O_CREAT|O_TRUNC")

    def do_close(self, process, call):
        shown = descriptor(call.arguments[0])
        if shown is not None:
            process.files.pop(shown.number, None)

    def do_close_range(self, process, call):
        first, last = int(call.arguments[0].split("<")[0], 0), int(call.arguments[1].split("<")[0], 0)
        if "CLOSE_RANGE_UNSHARE" in call.arguments[2]:
            process.files = dict(process.files)
        for number in [n for n in process.files if first <= n <= last]:
            if "CLOSE_RANGE_CLOEXEC" in call.arguments[2]:
                process.files[number] = (process.files[number][0], True)
            else:
                del process.files[number]

    def copy_descriptor(self, process, call, number, closes):
        if call.succeeded:
            opened = self.lookup(process, descriptor(call.arguments[0]))
            if opened is not None:
                self.install(process, number, opened, closes)
            else:
                process.files.pop(number, None)

    def do_dup(self, process, call):
        self.copy_descriptor(process, call, call.value, False)

    def do_dup2(self, process, call):
        if call.succeeded and call.value != descriptor(call.arguments[0]).number:
            self.copy_descriptor(process, call, call.value, False)

    def do_dup3(self, process, call):
        self.copy_descriptor(process, call, call.value, "O_CLOEXEC" in call.arguments[2])

    def do_fcntl(self, process, call):
        shown = descriptor(call.arguments[0])
        what = call.arguments[1] if len(call.arguments) > 1 else ""
        if what in ("F_DUPFD", "F_DUPFD_CLOEXEC"):
            self.copy_descriptor(process, call, call.value, what == "F_DUPFD_CLOEXEC")
        elif what == "F_SETFD" and call.succeeded and shown.number in process.files:
            process.files[shown.number] = (process.files[shown.number][0], "FD_CLOEXEC" in call.arguments[2])

    def do_ioctl(self, process, call):
        shown = descriptor(call.arguments[0])
        what = call.arguments[1] if len(call.arguments) > 1 else ""
        if what in ("FIOCLEX", "FIONCLEX") and call.succeeded and shown.number in process.files:
            process.files[shown.number] = (process.files[shown.number][0], what == "FIOCLEX")
        elif ("FICLONE" in what or "BTRFS_IOC_CLONE" in what) and call.succeeded:
            source = re.search(r"\d+<[^>]*>", " ".join(call.arguments[2:]))
            self.copying(process, descriptor(source[0]) if source else None, shown)

    def do_pipe(self, process, call):
        if not call.succeeded:
            return
        flags = call.arguments[1] if len(call.arguments) > 1 else ""
        ends = [descriptor(part) for part in split_arguments(call.arguments[0].strip()[1:-1])]
        for index, end in enumerate(ends):
            channel = self.channel(end.target)
            if channel is None:
                raise TraceError(f"no pipe: {call}")
            self.install(process, end.number, Open(channel, index == 0, index == 1, process, name=end.target),
                         "O_CLOEXEC" in flags)

    do_pipe2 = do_pipe

    def do_socketpair(self, process, call):
        if not call.succeeded:
            return
        for part in split_arguments(call.arguments[3].strip()[1:-1]):
            end = descriptor(part)
            self.install(process, end.number, Open(self.channel(end.target), True, True, process, name=end.target),
                         "SOCK_CLOEXEC" in call.arguments[1])

    # Calls: processes

    def do_clone(self, process, call):
        if call.child is None:
            return
        text = " ".join(call.arguments)
        self.forking(process, call.child, text)

    do_clone3 = do_clone

    def do_fork(self, process, call):
        if call.child is not None:
            self.forking(process, call.child, "")

    def do_vfork(self, process, call):
        if call.child is not None:
            self.forking(process, call.child, "CLONE_VM|CLONE_VFORK")

    def forking(self, process, child, flags):
        if "CLONE_THREAD" in flags:
            process.threads.add(child)
            self.tasks[child] = process
            return
        shares = "CLONE_VM" in flags and "CLONE_VFORK" not in flags
        knows = process.knows if shares else {
            path: "pipe" if how == "pipe" else "ancestor" for path, how in process.knows.items()}
        self.tasks[child] = Process(
            child, knows, process.files if "CLONE_FILES" in flags else dict(process.files),
            process.directory if "CLONE_FS" in flags else list(process.directory), {child})
        self.tasks[child].mapped = dict(process.mapped)

    def do_unshare(self, process, call):
        if call.succeeded and "CLONE_FILES" in " ".join(call.arguments):
            process.files = dict(process.files)

    def do_execve(self, process, call):
        if call.value != 0:
            return
        self.store_mapped(process)
        process.mapped = {}
        process.files = {n: entry for n, entry in process.files.items() if not entry[1]}
        process.knows = {}
        if self.opens:
            for opened, _ in process.files.values():
                if isinstance(opened.target, File) and opened.path:
                    self.learn_open(process, opened)

    do_execveat = do_execve

    def do_exit_group(self, process, call):
        self.store_mapped(process)

    def do_chdir(self, process, call):
        if call.succeeded:
            process.directory[0] = os.path.normpath(self.resolve(process, None, string(call.arguments[0])))

    def do_fchdir(self, process, call):
        if call.succeeded:
            process.directory[0] = descriptor(call.arguments[0]).target

    # Calls: bytes

    def do_read(self, process, call):
        if call.value is not None and call.value > 0:
            opened = self.lookup(process, descriptor(call.arguments[0]))
            if opened is not None:
                self.learn_read(process, opened)

    do_readv = do_pread64 = do_preadv = do_preadv2 = do_recvfrom = do_recvmsg = do_read

    def do_write(self, process, call):
        if call.value is not None and call.value > 0:
            opened = self.lookup(process, descriptor(call.arguments[0]))
            if opened is not None:
                self.write_into(process, opened)

    do_writev = do_pwrite64 = do_pwritev = do_pwritev2 = do_vmsplice = do_sendto = do_sendmsg = do_write

    def copying(self, process, source, target):
        """The kernel copies for a process. From a pipe it is as reading and writing."""
        opened = self.lookup(process, source)
        if opened is not None:
            self.learn_read(process, opened)
        opened = self.lookup(process, target)
        if opened is not None:
            self.write_into(process, opened)

    def do_sendfile(self, process, call):
        if call.value is not None and call.value > 0:
            self.copying(process, descriptor(call.arguments[1]), descriptor(call.arguments[0]))

    def do_splice(self, process, call):
        if call.value is not None and call.value > 0:
            self.copying(process, descriptor(call.arguments[0]), descriptor(call.arguments[2]))

    do_copy_file_range = do_splice

    def do_tee(self, process, call):
        if call.value is not None and call.value > 0:
            self.copying(process, descriptor(call.arguments[0]), descriptor(call.arguments[1]))

    def do_mmap(self, process, call):
        if call.value is None or len(call.arguments) < 5:
            return
        opened = self.lookup(process, descriptor(call.arguments[4]))
        if opened is None:
            return
        self.learn_read(process, opened)
        if "MAP_SHARED" in call.arguments[3] and "PROT_WRITE" in call.arguments[2] and isinstance(opened.target, File):
            process.mapped[call.value] = opened
            self.write_into(process, opened)

    def do_munmap(self, process, call):
        begin, length = int(call.arguments[0], 0), int(call.arguments[1], 0)
        for address in [each for each in process.mapped if begin <= each < begin + length]:
            self.write_into(process, process.mapped[address])
            if call.name == "munmap":
                del process.mapped[address]

    do_msync = do_munmap

    # Calls: names

    def renaming(self, process, old, new, flags=""):
        old, new = self.canonical(old), self.canonical(new)
        if old is None or new is None:
            return
        if "RENAME_EXCHANGE" in flags:
            first, second = self.names.get(old, File(old)), self.names.get(new, File(new))
            self.names[old], self.names[new] = second, first
            return
        moved = {path: file for path, file in self.names.items() if path == old or path.startswith(old + "/")}
        if old not in moved:
            moved[old] = File(old)
        for path, file in moved.items():
            self.names.pop(path, None)
            place = new + path[len(old):]
            file.promoted |= place.startswith("production/") and not path.startswith("production/")
            self.names[place] = file

    def do_rename(self, process, call):
        if call.value == 0:
            self.renaming(process, self.resolve(process, None, string(call.arguments[0])),
                          self.resolve(process, None, string(call.arguments[1])))

    def do_renameat(self, process, call):
        if call.value == 0:
            self.renaming(process, self.resolve(process, descriptor(call.arguments[0]), string(call.arguments[1])),
                          self.resolve(process, descriptor(call.arguments[2]), string(call.arguments[3])),
                          call.arguments[4] if len(call.arguments) > 4 else "")

    do_renameat2 = do_renameat

    def unlinking(self, path):
        inner = self.canonical(path)
        if inner is not None:
            self.names.pop(inner, None)

    def do_unlink(self, process, call):
        if call.value == 0:
            self.unlinking(self.resolve(process, None, string(call.arguments[0])))

    def do_unlinkat(self, process, call):
        if call.value == 0:
            self.unlinking(self.resolve(process, descriptor(call.arguments[0]), string(call.arguments[1])))

    def do_mknodat(self, process, call):
        if call.value == 0 and "S_IFIFO" in call.arguments[2]:
            self.fifos.add(os.path.normpath(
                self.resolve(process, descriptor(call.arguments[0]), string(call.arguments[1]))))

    def do_mknod(self, process, call):
        if call.value == 0 and "S_IFIFO" in call.arguments[1]:
            self.fifos.add(os.path.normpath(self.resolve(process, None, string(call.arguments[0]))))

    def do_pidfd_getfd(self, process, call):
        if call.succeeded:
            self.problems.append("pidfd_getfd is not followed")

    def do_io_uring_setup(self, process, call):
        if call.succeeded:
            self.problems.append("io_uring is not followed")

"""The parser and the model by themselves: python3 -m unittest discover -s Tests/MountedTests/Lineage

Traces of real jobs, kept with `main.py --record`, against what the jobs' comments say; and short traces by hand for what real jobs seldom do.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compare
import straced
from job import JOBS, HERE, Job
from model import Model

TRACES = os.path.join(HERE, "traces")
SESSION = "development/20260101_000000"


def edges(text, holds=False, opens=True):
    """The model's edges of a trace by hand: lines of `PID CALL`. `IN/` and `OUT/` stand for directories of production."""
    text = text.replace("IN/", "/mnt/production/base/sources/").replace("OUT/", "/mnt/production/base/results/")
    lines = [f"{line.split()[0]} 1.0 {line.strip().split(' ', 1)[1]}\n" for line in text.strip().splitlines()]
    outputs = Model("/mnt", holds=holds, opens=opens).run(straced.parse(lines)).outputs()
    return {os.path.basename(path): {os.path.basename(inner): how for inner, how in found.items()}
            for path, found in outputs.items()}


class KeptTraces(unittest.TestCase):
    """Each is what one job's comments say."""

    def test_there_are_enough(self):
        self.assertGreaterEqual(len(os.listdir(TRACES)), 20)

    def test_all(self):
        for name in sorted(os.listdir(TRACES)):
            with self.subTest(name):
                stem = os.path.splitext(name)[0]
                path = next(p for p in (os.path.join(JOBS, stem + end) for end in (".sh", ".py")) if os.path.exists(p))
                job = Job.read(path)
                with open(os.path.join(TRACES, name)) as file:
                    events = straced.parse(file.readlines())
                made = Model("/mnt", {"development/current": SESSION}, f"/tmp/lineage/work/{stem}-s").run(events)
                self.assertEqual(made.problems, [])
                self.assertTrue(job.expected)
                self.assertEqual(compare.by_hand(job, "s", made.outputs()), [])
                wider = Model("/mnt", {"development/current": SESSION}, f"/tmp/lineage/work/{stem}-s", holds=True).run(events)
                for output, found in made.outputs().items():
                    self.assertLessEqual(found.keys(), wider.outputs()[output].keys(), "holding gives no fewer edges")

    def test_a_wrong_comment_is_found(self):
        job = Job("x", "x.sh", expected={"x": {"a": "process", "b": "pipe"}, "y": {}})
        outputs = {"production/base/results/x-s-x.txt": {"production/base/sources/a.txt": "ancestor",
                                                          "production/base/sources/c.txt": "process"},
                   "production/base/results/x-s-z.txt": {}}
        self.assertEqual(compare.by_hand(job, "s", outputs), [
            "x from a: process by its comments, ancestor by the trace",
            "x from b: pipe by its comments, no edge by the trace",
            "x from c: no edge by its comments, process by the trace",
            "the trace has no output y", "the comments have no output O:z"])


class Parsing(unittest.TestCase):
    def test_arguments(self):
        self.assertEqual(straced.split_arguments('AT_FDCWD</a, b>, "x, \\"y", {a=1, b=[2, 3]}, 1<<12, 3<UNIX-STREAM:[1->2]>, 0 /* 5, 6 */'),
                         ["AT_FDCWD</a, b>", '"x, \\"y"', "{a=1, b=[2, 3]}", "1<<12", "3<UNIX-STREAM:[1->2]>", "0 /* 5, 6 */"])
        self.assertEqual(straced.split_arguments(""), [])

    def test_descriptors(self):
        self.assertEqual(straced.descriptor("3</a\\76b>"), straced.Descriptor(3, "/a>b"))
        self.assertEqual(straced.descriptor("3</a (deleted)>"), straced.Descriptor(3, "/a"))
        self.assertEqual(straced.descriptor("AT_FDCWD</tmp>"), straced.Descriptor(None, "/tmp"))
        self.assertEqual(straced.descriptor("7"), straced.Descriptor(7, ""))
        self.assertIsNone(straced.descriptor("NULL"))

    def test_what_is_interrupted(self):
        events = straced.parse([
            "7 1.0 read(3<pipe:[1]>,  <unfinished ...>\n", "8 1.0 write(1<pipe:[1]>, \"a\"..., 9) = 9\n",
            "7 1.1 --- SIGCHLD {si_signo=SIGCHLD} ---\n", "7 1.2 <... read resumed>\"a\"..., 10) = 9\n",
            "8 1.3 exit_group(0) = ?\n", "8 1.4 +++ exited with 0 +++\n"])
        self.assertEqual([(event.pid, getattr(event, "name", "ended"), getattr(event, "value", None)) for event in events],
                         [(8, "write", 9), (7, "read", 9), (8, "exit_group", None), (8, "ended", None)])

    def test_values(self):
        def only(line):
            return straced.parse([line])[0]
        self.assertEqual(only('7 1.0 mmap(NULL, 5, PROT_READ, MAP_SHARED, 3</x>, 0) = 0x7f00').value, 0x7F00)
        failed = only('7 1.0 openat(AT_FDCWD</>, "x", O_RDONLY) = -1 ENOENT (No such file or directory)')
        self.assertEqual((failed.value, failed.succeeded), (-1, False))
        self.assertEqual(only('7 1.0 openat(AT_FDCWD</>, "x", O_RDONLY) = 3</a (4)>').target, "/a (4)")
        child = only("7 1.0 clone(child_stack=NULL, flags=SIGCHLD) = 2 /* 812 in strace's PID NS */")
        self.assertEqual(child.child, 812)
        self.assertIsNone(only("7 1.0 read(3, 0x1, 2) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)").value)

    def test_what_is_not_understood_is_an_error(self):
        for line in ("garbage\n", "7 1.0 <... read resumed>) = 1\n", "7 1.0 close(3) gone\n"):
            with self.subTest(line), self.assertRaises(straced.TraceError):
                straced.parse([line])


class ByHand(unittest.TestCase):
    def test_memory_is_forgotten_by_exec_and_descriptors_are_not(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 openat(AT_FDCWD</>, "b", O_RDONLY|O_CLOEXEC) = 4<IN/b>
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 execve("/bin/p", ["p"], 0x1) = 0
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "process"}})

    def test_a_failed_exec_forgets_nothing(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY|O_CLOEXEC) = 3<IN/a>
            1 execve("/bin/p", ["p"], 0x1) = -1 ENOENT (No such file or directory)
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "process"}})

    def test_fork_hands_on_what_is_known_then(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 close(3<IN/a>) = 0
            1 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
            2 write(5<OUT/x>, "a", 1) = 1
            1 <... clone resumed>) = 2
            1 openat(AT_FDCWD</>, "b", O_RDONLY) = 3<IN/b>
            2 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "ancestor"}})

    def test_a_fork_whose_parent_was_killed(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
            2 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 +++ killed by SIGKILL +++
            2 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "ancestor"}})

    def test_threads_are_one_memory_and_one_table(self):
        self.assertEqual(edges('''
            1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD, exit_signal=0} => {parent_tid=[2]}, 88) = 2
            2 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            2 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "process"}})

    def test_exec_in_a_thread(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 openat(AT_FDCWD</>, "b", O_RDONLY|O_CLOEXEC) = 3<IN/b>
            1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD, exit_signal=0} => {parent_tid=[2]}, 88) = 2
            2 openat(AT_FDCWD</>, "a", O_RDONLY) = 4<IN/a>
            2 execve("/bin/p", ["p"], 0x1 <unfinished ...>
            1 +++ superseded by execve in pid 2 +++
            1 <... execve resumed>) = 0
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"a": "process"}})

    def test_vfork_is_no_thread(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD} <unfinished ...>
            2 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            2 execve("/bin/p", ["p"], 0x1) = 0
            1 <... clone3 resumed>, 88) = 2
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {}})

    def test_pipes_join_in_time(self):
        pipe = '''
            1 pipe2([3<pipe:[9]>, 4<pipe:[9]>], 0) = 0
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 clone(child_stack=NULL, flags=SIGCHLD) = 2
            2 write(4<pipe:[9]>, "a", 1) = 1
            2 openat(AT_FDCWD</>, "a", O_RDONLY) = 6<IN/a>'''
        early = pipe + '''
            1 read(3<pipe:[9]>, "a", 9) = 1
            1 write(5<OUT/x>, "a", 1) = 1'''
        self.assertEqual(edges(early), {"x": {}})
        self.assertEqual(edges(early, holds=True), {"x": {"a": "process"}}, "the child has x open too")
        late = pipe + '''
            2 write(4<pipe:[9]>, "a", 1) = 1
            1 read(3<pipe:[9]>, "a", 9) = 1
            1 write(5<OUT/x>, "a", 1) = 1
            2 openat(AT_FDCWD</>, "b", O_RDONLY) = 7<IN/b>
            2 write(4<pipe:[9]>, "a", 1) = 1'''
        self.assertEqual(edges(late), {"x": {"a": "pipe"}})

    def test_the_end_of_a_pipe_joins_nothing(self):
        self.assertEqual(edges('''
            1 pipe2([3<pipe:[9]>, 4<pipe:[9]>], 0) = 0
            1 clone(child_stack=NULL, flags=SIGCHLD) = 2
            2 openat(AT_FDCWD</>, "a", O_RDONLY) = 6<IN/a>
            2 exit_group(0) = ?
            1 read(3<pipe:[9]>, "", 9) = 0
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {}})

    def test_descriptors_are_copied_and_closed(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY|O_CLOEXEC) = 3<IN/a>
            1 fcntl(3<IN/a>, F_DUPFD, 10) = 10<IN/a>
            1 openat(AT_FDCWD</>, "b", O_RDONLY) = 4<IN/b>
            1 close_range(4, 4294967295, CLOSE_RANGE_CLOEXEC) = 0
            1 openat(AT_FDCWD</>, "c", O_RDONLY|O_CLOEXEC) = 5<IN/c>
            1 ioctl(5<IN/c>, FIONCLEX) = 0
            1 openat(AT_FDCWD</>, "d", O_RDONLY) = 6<IN/d>
            1 fcntl(6<IN/d>, F_SETFD, FD_CLOEXEC) = 0
            1 openat(AT_FDCWD</>, "e", O_RDONLY) = 7<IN/e>
            1 dup3(7<IN/e>, 8, O_CLOEXEC) = 8<IN/e>
            1 close(7<IN/e>) = 0
            1 execve("/bin/p", ["p"], 0x1) = 0
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 write(5<OUT/x>, "a", 1) = 1'''), {"x": {"c": "process"}})

    def test_what_is_written_anew_is_made_anew(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 openat(AT_FDCWD</>, "x.tmp", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 4<OUT/x.tmp>
            1 write(4<OUT/x.tmp>, "a", 1) = 1
            2 openat(AT_FDCWD</>, "x.tmp", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 4<OUT/x.tmp>
            2 write(4<OUT/x.tmp>, "a", 1) = 1
            2 renameat2(AT_FDCWD</>, "OUT/x.tmp", AT_FDCWD</>, "OUT/x", RENAME_NOREPLACE) = 0'''), {"x": {}})

    def test_mapped_to_write(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "x", O_RDWR|O_CREAT|O_TRUNC, 0644) = 4<OUT/x>
            1 mmap(NULL, 100, PROT_READ|PROT_WRITE, MAP_SHARED, 4<OUT/x>, 0) = 0x7f00
            1 close(4<OUT/x>) = 0
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 munmap(0x7f00, 100) = 0
            1 openat(AT_FDCWD</>, "b", O_RDONLY) = 3<IN/b>
            1 exit_group(0) = ?'''), {"x": {"a": "process"}})

    def test_the_kernel_copies(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 4<OUT/x>
            1 copy_file_range(3<IN/a>, NULL, 4<OUT/x>, NULL, 100, 0) = 5
            1 openat(AT_FDCWD</>, "b", O_RDONLY) = 5<IN/b>
            1 openat(AT_FDCWD</>, "y", O_WRONLY|O_CREAT, 0644) = 6<OUT/y>
            1 sendfile(6<OUT/y>, 5<IN/b>, NULL, 100) = 5'''), {"x": {"a": "process"}, "y": {"a": "process", "b": "process"}})

    def test_opening_without_reading_is_told_apart(self):
        text = '''
            1 openat(AT_FDCWD</>, "a", O_RDONLY) = 3<IN/a>
            1 openat(AT_FDCWD</>, "b", O_RDONLY) = 4<IN/b>
            1 read(4<IN/b>, "a", 9) = 1
            1 openat(AT_FDCWD</>, "x", O_WRONLY|O_CREAT, 0644) = 5<OUT/x>
            1 write(5<OUT/x>, "a", 1) = 1'''
        self.assertEqual(edges(text), {"x": {"a": "process", "b": "process"}})
        self.assertEqual(edges(text, opens=False), {"x": {"b": "process"}})

    def test_what_is_no_input(self):
        self.assertEqual(edges('''
            1 openat(AT_FDCWD</>, "IN", O_RDONLY|O_DIRECTORY) = 3</mnt/production/base/sources>
            1 openat(AT_FDCWD</>, "a", O_PATH) = 4<IN/a>
            1 openat(AT_FDCWD</>, "b", O_WRONLY) = 5<IN/b>
            1 openat(AT_FDCWD</>, "r", O_RDONLY) = 6<IN/.meta/a.json>
            1 openat(AT_FDCWD</>, "s", O_RDONLY) = 7</mnt/.artifactfs/status.json>
            1 openat(AT_FDCWD</>, "e", O_RDONLY) = 8</etc/passwd>
            1 openat(AT_FDCWD</>, "x", O_RDWR|O_CREAT|O_EXCL, 0644) = 9<OUT/x>
            1 write(9<OUT/x>, "a", 1) = 1'''), {"x": {}})


if __name__ == "__main__":
    unittest.main()

import FuseKernel
import Glibc
import Synchronization
import SystemPackage
import Testing

/// Everything that mounts, one test after another: some look at the whole process.
@Suite(.serialized, .enabled(if: canMount, "needs /dev/fuse"))
struct FuseKernelTests {}

extension FuseKernelTests {
    /// The binding against the kernel: a mirror of a directory, mounted, used by child processes. Twice: with the kernel moving the bytes
    /// of files, and with the session doing it.
    @Suite struct OperationTests {
        /// Runs a Python program with the mount as its directory; it fails by an exception. `fails` checks an errno.
        private func python(_ mounted: Mounted, _ program: String) throws {
            let prelude = """
                import os, sys, errno, mmap, ctypes, stat, fcntl, struct, threading
                os.chdir(sys.argv[1])
                libc = ctypes.CDLL(None, use_errno=True)
                def fails(number, what, *arguments):
                    try: what(*arguments)
                    except OSError as e:
                        assert e.errno == number, (e, 'expected', errno.errorcode[number])
                    else: raise AssertionError('no error, expected ' + errno.errorcode[number])
                def call(name, *arguments):
                    result = getattr(libc, name)(*arguments)
                    if result < 0: raise OSError(ctypes.get_errno(), name)
                    return result

                """
            let outcome = try Shell.python(prelude + program, mounted.point)
            #expect(outcome.status == 0, "\(outcome.output)")
        }

        @Test(arguments: [true, false])
        func filesAreWhatWasWritten(passthrough: Bool) throws {
            let mounted = try Mounted(passthrough: passthrough)
            try python(
                mounted,
                """
                data = os.urandom(3 << 20) + b'tail'
                with open('f', 'wb') as f: f.write(data)
                assert open('f', 'rb').read() == data
                assert os.stat('f').st_size == len(data)
                with open('f', 'ab') as f: f.write(b'more')
                with open('f', 'r+b') as f:
                    f.seek(5); f.write(b'X'); f.flush()
                    f.seek(0); assert f.read(8) == data[:5] + b'X' + data[6:8]
                    os.fsync(f.fileno()); os.fdatasync(f.fileno())
                assert os.stat('f').st_size == len(data) + 4
                os.truncate('f', 10); assert os.stat('f').st_size == 10
                open('f', 'w').close(); assert os.stat('f').st_size == 0
                d = os.open('.', os.O_RDONLY); os.fsync(d); os.close(d)
                """)
            #expect(mounted.fileSystem.connection?.hasPassthrough == (passthrough && getuid() == 0))
            if mounted.fileSystem.connection?.hasPassthrough == true {
                #expect(mounted.fileSystem.connection?.passthroughObstacle == nil)
                #expect(mounted.fileSystem.calls("read") == 0)
                #expect(mounted.fileSystem.calls("write") == 0)
            } else {
                #expect(mounted.fileSystem.connection?.passthroughObstacle?.isEmpty == false)
                #expect(mounted.fileSystem.calls("write") > 0)
            }
            #expect(mounted.fileSystem.calls("fsync") == 1)
            #expect(mounted.fileSystem.calls("fdatasync") == 1)
            #expect(mounted.fileSystem.calls("fsyncdir") == 1)
            #expect(eventually { mounted.fileSystem.openHandles == 0 })
        }

        @Test(arguments: [true, false])
        func mappingsAndRanges(passthrough: Bool) throws {
            let mounted = try Mounted(passthrough: passthrough)
            try python(
                mounted,
                """
                with open('m', 'w+b') as f:
                    f.truncate(1 << 20)
                    with mmap.mmap(f.fileno(), 1 << 20) as m:
                        m[70000:70005] = b'hello'
                        m.flush()
                    f.seek(70000); assert f.read(5) == b'hello'
                f = os.open('m', os.O_RDWR)
                os.posix_fallocate(f, 0, 2 << 20); assert os.fstat(f).st_size == 2 << 20
                # punch a hole and keep the size; then a mode that the handler does not know
                call('fallocate', f, 3, ctypes.c_long(65536), ctypes.c_long(65536))
                assert os.pread(f, 5, 70000) == bytes(5)
                os.pwrite(f, b'z', 0)
                assert os.lseek(f, 0, os.SEEK_END) == 2 << 20
                # the kernel takes ENOSYS as "never ask again" and says EOPNOTSUPP itself
                fails(errno.EOPNOTSUPP, call, 'fallocate', f, 0x10, ctypes.c_long(0), ctypes.c_long(4096))
                os.close(f)
                h = os.open('holes', os.O_RDWR | os.O_CREAT)
                os.ftruncate(h, 1 << 20); os.pwrite(h, b'x' * 4096, 512 << 10); os.fsync(h)
                assert os.lseek(h, 0, os.SEEK_DATA) == 512 << 10, os.lseek(h, 0, os.SEEK_DATA)
                assert os.lseek(h, 512 << 10, os.SEEK_HOLE) == (512 << 10) + 4096
                fails(errno.ENXIO, os.lseek, h, 2 << 20, os.SEEK_DATA)
                c = os.open('copy', os.O_RDWR | os.O_CREAT)
                assert os.copy_file_range(h, c, 1 << 19, 1 << 19, 0) == 1 << 19
                assert os.pread(c, 1 << 20, 0) == b'x' * 4096 + bytes((1 << 19) - 4096)
                s = os.statvfs('.'); assert s.f_blocks > 0 and s.f_namemax == 255
                """)
            #expect(mounted.fileSystem.calls("seek") > 0)
            #expect(mounted.fileSystem.calls("copyRange") > 0)
        }

        @Test func namesAndLinks() throws {
            let mounted = try Mounted(passthrough: true)
            try python(
                mounted,
                """
                rename = lambda a, b, flags: call('renameat2', -100, a, -100, b, flags)
                open('a', 'w').write('A'); open('b', 'w').write('B')
                fails(errno.EEXIST, rename, b'a', b'b', 1)
                rename(b'a', b'b', 2); assert open('a').read() == 'B' and open('b').read() == 'A'
                os.rename('a', 'b'); assert open('b').read() == 'B' and not os.path.exists('a')
                os.mkdir('d'); fails(errno.EEXIST, os.mkdir, 'd')
                rename(b'b', b'd/c', 1); fails(errno.ENOTEMPTY, os.rmdir, 'd')
                os.link('d/c', 'hard'); assert os.stat('hard').st_nlink == 2
                assert os.stat('hard').st_ino == os.stat('d/c').st_ino
                os.symlink('d/c', 'soft'); assert os.readlink('soft') == 'd/c' and open('soft').read() == 'B'
                os.symlink('x' * 4095, 'long'); assert os.readlink('long') == 'x' * 4095
                os.mkfifo('pipe', 0o600); assert stat.S_ISFIFO(os.stat('pipe').st_mode)
                os.unlink('hard'); os.unlink('d/c'); os.rmdir('d'); fails(errno.ENOENT, os.stat, 'd')
                fails(errno.ENOENT, open, 'soft')
                longest = b'n' * 255
                open(longest, 'w').write('L'); assert open(longest).read() == 'L' and longest in os.listdir(b'.')
                fails(errno.ENAMETOOLONG, open, b'n' * 256)
                strange = b'new\\nline \\\\ \\xff, = "'
                open(strange, 'w').close(); assert strange in os.listdir(b'.')
                """)
        }

        @Test func attributesAndExtendedAttributes() throws {
            let mounted = try Mounted(passthrough: true)
            try python(
                mounted,
                """
                open('f', 'w').close()
                os.chmod('f', 0o640); assert stat.S_IMODE(os.stat('f').st_mode) == 0o640
                os.utime('f', ns=(1_000_000_007, 2_000_000_009))
                s = os.stat('f'); assert (s.st_atime_ns, s.st_mtime_ns) == (1_000_000_007, 2_000_000_009)
                os.utime('f'); assert os.stat('f').st_mtime > 1e9
                if os.getuid() == 0:
                    os.chown('f', 1234, -1); assert os.stat('f').st_uid == 1234 and os.stat('f').st_gid == 0
                os.umask(0o027); open('g', 'w').close(); assert stat.S_IMODE(os.stat('g').st_mode) == 0o640
                os.mkdir('h'); assert stat.S_IMODE(os.stat('h').st_mode) == 0o750
                value = bytes(range(256)) * 8
                os.setxattr('f', 'user.one', value); os.setxattr('f', 'user.empty', b'')
                assert os.getxattr('f', 'user.one') == value and os.getxattr('f', 'user.empty') == b''
                assert {'user.one', 'user.empty'} <= set(os.listxattr('f'))
                fails(errno.EEXIST, os.setxattr, 'f', 'user.one', b'', os.XATTR_CREATE)
                fails(errno.ENODATA, os.setxattr, 'f', 'user.none', b'', os.XATTR_REPLACE)
                fails(errno.ENODATA, os.getxattr, 'f', 'user.none')
                assert call('getxattr', b'f', b'user.one', None, 0) == 2048
                fails(errno.ERANGE, call, 'getxattr', b'f', b'user.one', ctypes.create_string_buffer(10), 10)
                fails(errno.ERANGE, call, 'listxattr', b'f', ctypes.create_string_buffer(3), 3)
                os.removexattr('f', 'user.one'); fails(errno.ENODATA, os.removexattr, 'f', 'user.one')
                fd = os.open('f', os.O_RDONLY)
                flags = fcntl.ioctl(fd, 0x80086601, bytes(8)); assert struct.unpack('=I', flags[:4])[0] == 0x10
                fails(errno.ENOTTY, fcntl.ioctl, fd, 0x801c581f, bytes(28))
                fails(errno.ENOTTY, fcntl.ioctl, fd, 0x5401, bytes(64))
                """)
        }

        /// A write or truncation by somebody without CAP_FSETID takes set-id bits away, also in the directory that is mirrored: the
        /// writing process of the store may be root, for which its file system does not do it.
        @Test(.enabled(if: getuid() == 0, "needs root, to act as another user"), arguments: [true, false])
        func setIDBitsGoWithAWrite(passthrough: Bool) throws {
            let mounted = try Mounted(passthrough: passthrough, timeout: 60, prepare: { $0.allowsOthers = true })
            try check(chmod(mounted.base, 0o755))
            try python(
                mounted,
                """
                def make(name):
                    open(name, 'w').write('text'); os.chown(name, 1000, 1000); os.chmod(name, 0o6777)
                    assert stat.S_IMODE(os.stat(name).st_mode) == 0o6777
                def other(what):
                    if os.fork() == 0:
                        os.setgroups([]); os.setgid(1001); os.setuid(1001)
                        try: what()
                        except BaseException as e: print(e); os._exit(1)
                        os._exit(0)
                    assert os.wait()[1] == 0
                def write(name):
                    with open(name, 'r+') as f: f.write('X')
                def both(name):
                    f = os.open(name, os.O_WRONLY); os.write(f, b'1'); os.write(f, b'2'); os.close(f)
                for name, what in (
                    ('write', lambda: write('write')), ('truncate', lambda: os.truncate('truncate', 1)),
                    ('creat', lambda: open('creat', 'w').close()), ('both', lambda: both('both')),
                ):
                    make(name); other(what)
                    mode = os.stat(name).st_mode & 0o7777
                    real = os.stat('../source/' + name).st_mode & 0o7777
                    assert mode == real == 0o777, (name, oct(mode), oct(real))
                """)
        }

        /// An ACL lets a user in whom the mode keeps out, once the kernel is asked to look at ACLs; not before.
        @Test(.enabled(if: getuid() == 0, "needs root, to act as another user"), arguments: [true, false])
        func accessControlLists(posixACL: Bool) throws {
            let mounted = try Mounted(
                passthrough: true,
                prepare: {
                    $0.allowsOthers = true
                    $0.posixACL = posixACL
                })
            try check(chmod(mounted.base, 0o755))
            try python(
                mounted,
                """
                open('f', 'w').write('text'); os.chmod('f', 0o600)
                tags = (1, 6, -1), (2, 4, 1001), (4, 0, -1), (16, 4, -1), (32, 0, -1)
                acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *tag) for tag in tags)
                os.setxattr('f', 'system.posix_acl_access', acl)
                os.chmod('../source', 0o755)
                def sees(user):
                    if os.fork() == 0:
                        os.setgroups([]); os.setgid(user); os.setuid(user)
                        try: open('f').read(); os._exit(0)
                        except PermissionError: os._exit(3)
                    return os.waitstatus_to_exitcode(os.wait()[1])
                # Without ACLs in the kernel the mask shows as the group's bits, and user 1001 is an other.
                assert sees(1001) == \(posixACL ? 0 : 3) and sees(1002) == 3
                """)
        }

        @Test func locksAreKeptByTheKernel() throws {
            let mounted = try Mounted(passthrough: true)
            try python(
                mounted,
                """
                a = open('f', 'w'); b = open('f', 'w')
                fcntl.flock(a, fcntl.LOCK_EX); fails(errno.EWOULDBLOCK, fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(a, fcntl.LOCK_UN); fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.lockf(a, fcntl.LOCK_EX)
                if os.fork() == 0:
                    fails(errno.EAGAIN, fcntl.lockf, open('f', 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB); os._exit(0)
                assert os.wait()[1] == 0
                """)
        }

        /// Errnos reach the caller as they are; what is none becomes EIO and never "success".
        @Test func handlersErrorsReachTheCaller() throws {
            let mounted = try Mounted(passthrough: true)
            try python(
                mounted,
                """
                for number in (errno.EIO, errno.ENOSYS, errno.EEXIST, errno.EPERM, errno.EDQUOT):
                    fails(number, os.stat, 'throws-%d' % number)
                for number in (0, -5, 1000, 2147483647): fails(errno.EIO, os.stat, 'throws-%d' % number)
                assert os.listdir('.') == []
                """)
        }

        /// 5,000 names, each exactly once, with and without attributes, and every reference that the listing made is given back.
        @Test func longListings() throws {
            let mounted = try Mounted(passthrough: true)
            try python(
                mounted,
                """
                names = {'%05d-%s' % (i, 'x' * (i % 200)) for i in range(5000)}
                for name in names: open(name, 'w').close()
                listed = os.listdir('.'); assert len(listed) == 5000 and set(listed) == names
                entries = list(os.scandir('.')); assert {e.name for e in entries} == names
                assert all(e.stat().st_ino == e.inode() for e in entries)
                for name in names: os.unlink(name)
                assert os.listdir('.') == []
                """)
            #expect(mounted.fileSystem.calls("readdirplus") > 0)
            // The root alone: unlink drops the kernel's references, and it says so with FORGET.
            #expect(eventually { mounted.fileSystem.knownInodes == 1 }, "\(mounted.fileSystem.knownInodes) inodes")
        }

        @Test func readersDoNotFlushWhereToldSo() throws {
            for noFlush in [false, true] {
                let mounted = try Mounted(passthrough: false, traits: noFlush ? [.noFlush, .keepCache] : [])
                try python(
                    mounted, "open('f', 'w').write('text')\nfor _ in range(5): assert open('f').read() == 'text'")
                #expect(mounted.fileSystem.calls("flush") == (noFlush ? 0 : 6))
                // Pages of an earlier open are kept: the first read is the only one.
                if noFlush { #expect(mounted.fileSystem.calls("read") <= 1) }
            }
        }

        @Test func whatTheMountTableShows() throws {
            let mounted = try Mounted(passthrough: false, prepare: { $0.isReadOnly = true })
            let table = try Shell.run(
                "grep fuse-kernel- /proc/self/mounts | grep \"$1\"", String(mounted.base.dropFirst(5)))
            let fields = table.output.split(separator: " ")
            try #require(fields.count >= 4, "\(table.output)")
            #expect(fields[0] == "a,b\\134c")
            #expect(fields[2] == "fuse.artifactfs")
            let options = fields[3].split(separator: ",")
            for option in ["ro", "nosuid", "nodev", "default_permissions"] {
                #expect(options.contains { $0 == option }, "\(fields[3])")
            }
            #expect(!options.contains("allow_other"))
            try python(mounted, "fails(errno.EROFS, open, 'f', 'w')")
        }

        @Test func invalidationIsSeenAtOnce() throws {
            let mounted = try Mounted(passthrough: false, timeout: 3600)
            try python(
                mounted, "open('f', 'w').write('12345')\nassert os.stat('f').st_size == 5; fails(2, os.stat, 'g')")
            _ = try Shell.run("printf 123 > \"$1/f\"", mounted.source)
            try python(mounted, "assert os.stat('f').st_size == 5")
            let connection = try #require(mounted.fileSystem.connection)
            connection.invalidate(name: "f", in: .root)
            try python(mounted, "assert os.stat('f').st_size == 3")
        }
    }
}

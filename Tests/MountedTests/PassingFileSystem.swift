import Glibc
import SystemPackage
import TestSupport
import Testing

/// One directory through mounts of FUSE that know nothing of each other, as hosts see a server's: each has its own memory of names and
/// attributes and its own locks.
final class PassingFileSystem {
    /// Where the directory is shown, a mount each.
    let mountPoints: [String]
    /// What is shown.
    let directory: String
    private let temporary: TemporaryDirectory
    private let servers: [Child]

    /// - Parameters:
    ///   - options: of FUSE, such as `negative_timeout=8`.
    ///   - manners: `NO_LINKS`: link(2) is refused; `NO_FLAGS`: renames take no flags.
    init(options: String = "", manners: [String] = []) throws {
        temporary = try TemporaryDirectory()
        directory = temporary.path + "/served"
        try check(mkdir(directory, 0o755))
        let (source, program) = (temporary.path + "/passing.c", temporary.path + "/passing")
        try write(Self.source, to: source)
        let flags = try run(["pkg-config", "--cflags", "--libs", "fuse3"]).output.split(whereSeparator: \.isWhitespace)
        let compiled = try run(
            ["clang", "-O1", "-Wno-everything", source, "-o", program] + flags.map(String.init)
                + manners.map { "-D\($0)" })
        try #require(compiled.succeeded, "\(compiled)")
        var points: [String] = []
        var servers: [Child] = []
        for number in 1...2 {
            let point = temporary.path + "/host-\(number)"
            try check(mkdir(point, 0o755))
            servers.append(
                try Child(
                    [
                        program, point, "-f", "-o",
                        "allow_other,default_permissions" + (options.isEmpty ? "" : "," + options),
                    ],
                    environment: ["PASSING": directory]))
            points.append(point)
            let wait = "until mountpoint -q \"$0\"; do sleep 0.01; done"
            try #require(try run(["bash", "-c", wait, point], timeout: 30).succeeded)
        }
        mountPoints = points
        self.servers = servers
    }

    deinit {
        for (point, server) in zip(mountPoints, servers) {
            _ = try? run(["umount", "-l", point])
            if !server.wait(seconds: 10) { server.kill() }
        }
    }

    private static let source = #"""
        #define FUSE_USE_VERSION 31
        #define _GNU_SOURCE
        #include <dirent.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <fuse.h>
        #include <limits.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <sys/xattr.h>
        #include <unistd.h>
        static const char *root;
        #define REAL(name, path) char name[PATH_MAX]; snprintf(name, sizeof name, "%s%s", root, path)
        #define ANSWER(call) return (call) < 0 ? -errno : 0
        typedef struct fuse_file_info info;
        static void *begin(struct fuse_conn_info *c, struct fuse_config *f) { f->use_ino = 1; f->hard_remove = 1; return NULL; }
        static int p_getattr(const char *p, struct stat *s, info *i) { if (i) ANSWER(fstat(i->fh, s)); REAL(r, p); ANSWER(lstat(r, s)); }
        static int p_readdir(const char *p, void *b, fuse_fill_dir_t fill, off_t o, info *i, enum fuse_readdir_flags f) {
            REAL(r, p); DIR *d = opendir(r); if (!d) return -errno;
            for (struct dirent *e; (e = readdir(d));) fill(b, e->d_name, NULL, 0, 0);
            closedir(d); return 0;
        }
        static int p_mkdir(const char *p, mode_t m) { REAL(r, p); ANSWER(mkdir(r, m)); }
        static int p_unlink(const char *p) { REAL(r, p); ANSWER(unlink(r)); }
        static int p_rmdir(const char *p) { REAL(r, p); ANSWER(rmdir(r)); }
        static int p_rename(const char *a, const char *b, unsigned flags) {
            REAL(x, a); REAL(y, b);
        #ifdef NO_FLAGS
            if (flags) return -EINVAL;
        #endif
            ANSWER(syscall(SYS_renameat2, AT_FDCWD, x, AT_FDCWD, y, flags));
        }
        #ifndef NO_LINKS
        static int p_link(const char *a, const char *b) { REAL(x, a); REAL(y, b); ANSWER(link(x, y)); }
        #endif
        static int p_chmod(const char *p, mode_t m, info *i) { REAL(r, p); ANSWER(chmod(r, m)); }
        static int p_chown(const char *p, uid_t u, gid_t g, info *i) { REAL(r, p); ANSWER(lchown(r, u, g)); }
        static int p_truncate(const char *p, off_t l, info *i) { if (i) ANSWER(ftruncate(i->fh, l)); REAL(r, p); ANSWER(truncate(r, l)); }
        static int p_open(const char *p, info *i) { REAL(r, p); int f = open(r, i->flags & ~O_NOFOLLOW); if (f < 0) return -errno; i->fh = f; return 0; }
        static int p_create(const char *p, mode_t m, info *i) { REAL(r, p); int f = open(r, i->flags, m); if (f < 0) return -errno; i->fh = f; return 0; }
        static int p_read(const char *p, char *b, size_t n, off_t o, info *i) { ssize_t c = pread(i->fh, b, n, o); return c < 0 ? -errno : c; }
        static int p_write(const char *p, const char *b, size_t n, off_t o, info *i) { ssize_t c = pwrite(i->fh, b, n, o); return c < 0 ? -errno : c; }
        static int p_release(const char *p, info *i) { close(i->fh); return 0; }
        static int p_fsync(const char *p, int d, info *i) { ANSWER(fsync(i->fh)); }
        static int p_utimens(const char *p, const struct timespec t[2], info *i) { REAL(r, p); ANSWER(utimensat(AT_FDCWD, r, t, AT_SYMLINK_NOFOLLOW)); }
        static int p_statfs(const char *p, struct statvfs *s) { REAL(r, p); ANSWER(statvfs(r, s)); }
        static int p_setxattr(const char *p, const char *n, const char *v, size_t s, int f) { REAL(r, p); ANSWER(lsetxattr(r, n, v, s, f)); }
        static int p_getxattr(const char *p, const char *n, char *v, size_t s) { REAL(r, p); ssize_t c = lgetxattr(r, n, v, s); return c < 0 ? -errno : c; }
        static int p_listxattr(const char *p, char *l, size_t s) { REAL(r, p); ssize_t c = llistxattr(r, l, s); return c < 0 ? -errno : c; }
        static int p_removexattr(const char *p, const char *n) { REAL(r, p); ANSWER(lremovexattr(r, n)); }
        static const struct fuse_operations all = {
            .init = begin, .getattr = p_getattr, .readdir = p_readdir, .mkdir = p_mkdir, .unlink = p_unlink, .rmdir = p_rmdir, .rename = p_rename,
        #ifndef NO_LINKS
            .link = p_link,
        #endif
            .chmod = p_chmod, .chown = p_chown, .truncate = p_truncate, .open = p_open, .create = p_create, .read = p_read, .write = p_write,
            .release = p_release, .fsync = p_fsync, .utimens = p_utimens, .statfs = p_statfs, .setxattr = p_setxattr, .getxattr = p_getxattr,
            .listxattr = p_listxattr, .removexattr = p_removexattr,
        };
        int main(int count, char **words) { umask(0); root = getenv("PASSING"); return fuse_main(count, words, &all, NULL); }
        """#
}

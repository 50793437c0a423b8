// A directory as a network's file system of another host shows it, with the manners of NFS: what a driver on several hosts has to live with, without any cluster.
//
//     filter DIRECTORY MOUNTPOINT CONTROL [SECONDS]
//
// Each host mounts it once over the same directory. It stays in the foreground until it is unmounted. What it does always:
//
// - renameat2(2) with flags is EINVAL, and there is no O_TMPFILE;
// - flock(2) and locks of fcntl(2) are those of this mount: no other host hears of them;
// - names, also that there is none, and attributes are remembered for SECONDS (3);
// - what another host removed is ESTALE, also when it is open; what was removed here while it was open is there until it is closed.
//
// Files in the directory CONTROL turn on the rest, for as long as they are there:
//
// - `frozen`: no request is answered, as when the link is cut. Those that wait are carried out when it goes;
// - `publish`: the next link to a name without `%`, which is the last step of publishing, freezes all: that link is carried out when `frozen` goes;
// - `full`: what needs room is ENOSPC;
// - `close`: who closes a file hears ENOSPC, as where a server has no room for what was written (GlusterFS);
// - `link`: so many of a hundred links, by the number in it, are made and answered as the word after it says: EIO, ETIMEDOUT, EEXIST (as a request that is
//   sent again is answered). `RENAME`, after it, loses the answers of rename as well. Which ones is by chance; $SEED begins it.

#define _GNU_SOURCE
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/// What has an inode's number on this mount: an open path to it, and how often the kernel knows it.
struct inode {
    struct inode *next;
    int fd;
    dev_t device;
    ino_t number;
    uint64_t known;
    bool removed_here;
};

enum { BUCKETS = 4096 };
static struct inode *table[BUCKETS];
static struct inode root;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int control;
static double seconds = 3;
static unsigned seed;

static struct inode *of(fuse_ino_t ino) { return ino == FUSE_ROOT_ID ? &root : (struct inode *)(uintptr_t)ino; }

static bool is_on(const char *name) { return faccessat(control, name, F_OK, 0) == 0; }

static void wait_while_frozen(void) {
    while (is_on("frozen")) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/// 0, or the error with which the request ends: the inode is another's removed one.
static int stale(struct inode *inode) {
    struct stat found;
    if (fstat(inode->fd, &found)) return errno;
    return found.st_nlink == 0 && !inode->removed_here ? ESTALE : 0;
}

#define BEGIN(inode)                                                  \
    do {                                                              \
        wait_while_frozen();                                          \
        int error_ = stale(inode);                                    \
        if (error_) {                                                 \
            fuse_reply_err(req, error_);                              \
            return;                                                   \
        }                                                             \
    } while (0)
#define ANSWER(call) fuse_reply_err(req, (call) == -1 ? errno : 0)
#define NEEDS_ROOM()                                                  \
    do {                                                              \
        if (is_on("full")) {                                          \
            fuse_reply_err(req, ENOSPC);                              \
            return;                                                   \
        }                                                             \
    } while (0)

static void proc(char *path, int fd) { snprintf(path, 64, "/proc/self/fd/%d", fd); }

/// The error that is answered though the call was done, 0 for none.
static int lost(bool renames) {
    char text[64] = "";
    int fd = openat(control, "link", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0 || (renames && !strstr(text, "RENAME"))) return 0;
    pthread_mutex_lock(&lock);
    int number = rand_r(&seed) % 100;
    pthread_mutex_unlock(&lock);
    if (number >= atoi(text)) return 0;
    if (strstr(text, "EEXIST")) return renames ? ENOENT : EEXIST;
    return strstr(text, "ETIMEDOUT") ? ETIMEDOUT : EIO;
}

/// Finds a name and makes the kernel know it; 0 or an error.
static int look(struct inode *parent, const char *name, struct fuse_entry_param *entry) {
    memset(entry, 0, sizeof *entry);
    entry->attr_timeout = entry->entry_timeout = seconds;
    int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno;
    if (fstatat(fd, "", &entry->attr, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
        int error = errno;
        close(fd);
        return error;
    }
    pthread_mutex_lock(&lock);
    struct inode **bucket = &table[entry->attr.st_ino % BUCKETS], *inode = *bucket;
    while (inode && (inode->number != entry->attr.st_ino || inode->device != entry->attr.st_dev)) inode = inode->next;
    if (inode) {
        close(fd);
    } else if ((inode = calloc(1, sizeof *inode))) {
        *inode = (struct inode){.next = *bucket, .fd = fd, .device = entry->attr.st_dev, .number = entry->attr.st_ino};
        *bucket = inode;
    } else {
        abort();
    }
    inode->known++;
    pthread_mutex_unlock(&lock);
    entry->ino = (uintptr_t)inode;
    return 0;
}

static void forget_one(fuse_ino_t ino, uint64_t count) {
    if (ino == FUSE_ROOT_ID) return;
    struct inode *inode = of(ino);
    pthread_mutex_lock(&lock);
    inode->known -= count;
    if (inode->known == 0) {
        struct inode **at = &table[inode->number % BUCKETS];
        while (*at != inode) at = &(*at)->next;
        *at = inode->next;
        close(inode->fd);
        free(inode);
    }
    pthread_mutex_unlock(&lock);
}

static void op_init(void *data, struct fuse_conn_info *connection) {
    (void)data;
    connection->want &= ~(unsigned)(FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_WRITEBACK_CACHE);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    BEGIN(of(parent));
    struct fuse_entry_param entry;
    int error = look(of(parent), name, &entry);
    if (error == ENOENT) {
        entry.ino = 0;  // Remembered as well.
        fuse_reply_entry(req, &entry);
    } else if (error) {
        fuse_reply_err(req, error);
    } else {
        fuse_reply_entry(req, &entry);
    }
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count) {
    forget_one(ino, count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all) {
    for (size_t i = 0; i < count; i++) forget_one(all[i].ino, all[i].nlookup);
    fuse_reply_none(req);
}

static void answer_attributes(fuse_req_t req, int fd) {
    struct stat found;
    if (fstatat(fd, "", &found, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) fuse_reply_err(req, errno);
    else fuse_reply_attr(req, &found, seconds);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    (void)file;
    BEGIN(of(ino));
    answer_attributes(req, of(ino)->fd);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *new, int set, struct fuse_file_info *file) {
    BEGIN(of(ino));
    int fd = of(ino)->fd;
    char path[64];
    proc(path, fd);
    int error = 0;
    if (set & FUSE_SET_ATTR_MODE) error = chmod(path, new->st_mode);
    if (!error && set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        error = fchownat(
            fd, "", set & FUSE_SET_ATTR_UID ? new->st_uid : (uid_t)-1, set & FUSE_SET_ATTR_GID ? new->st_gid : (gid_t)-1,
            AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    if (!error && set & FUSE_SET_ATTR_SIZE) error = file ? ftruncate((int)file->fh, new->st_size) : truncate(path, new->st_size);
    if (!error && set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
        if (set & FUSE_SET_ATTR_ATIME_NOW) times[0].tv_nsec = UTIME_NOW;
        else if (set & FUSE_SET_ATTR_ATIME) times[0] = new->st_atim;
        if (set & FUSE_SET_ATTR_MTIME_NOW) times[1].tv_nsec = UTIME_NOW;
        else if (set & FUSE_SET_ATTR_MTIME) times[1] = new->st_mtim;
        error = utimensat(AT_FDCWD, path, times, 0);
    }
    if (error) fuse_reply_err(req, errno);
    else answer_attributes(req, fd);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino) {
    BEGIN(of(ino));
    char target[4097];
    ssize_t length = readlinkat(of(ino)->fd, "", target, sizeof target - 1);
    if (length < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    target[length] = 0;
    fuse_reply_readlink(req, target);
}

/// What was made belongs to who asked.
static void give(fuse_req_t req, struct inode *parent, const char *name) {
    const struct fuse_ctx *who = fuse_req_ctx(req);
    struct stat above;
    bool passed_on = fstat(parent->fd, &above) == 0 && above.st_mode & S_ISGID;
    if (fchownat(parent->fd, name, who->uid, passed_on ? (gid_t)-1 : who->gid, AT_SYMLINK_NOFOLLOW)) return;
}

static void made(fuse_req_t req, struct inode *parent, const char *name, int result) {
    if (result == -1) {
        fuse_reply_err(req, errno);
        return;
    }
    give(req, parent, name);
    struct fuse_entry_param entry;
    int error = look(parent, name, &entry);
    if (error) fuse_reply_err(req, error);
    else fuse_reply_entry(req, &entry);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device) {
    BEGIN(of(parent));
    NEEDS_ROOM();
    made(req, of(parent), name, mknodat(of(parent)->fd, name, mode, device));
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    BEGIN(of(parent));
    NEEDS_ROOM();
    made(req, of(parent), name, mkdirat(of(parent)->fd, name, mode));
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name) {
    BEGIN(of(parent));
    NEEDS_ROOM();
    made(req, of(parent), name, symlinkat(target, of(parent)->fd, name));
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name) {
    if (!strchr(name, '%') && name[0] != '.' && is_on("publish") && renameat(control, "publish", control, "frozen") == 0) {
        // Late, and not judged again: an NFS server is given a handle, whatever names the file has by then.
        wait_while_frozen();
    }
    BEGIN(of(ino));
    NEEDS_ROOM();
    char path[64];
    proc(path, of(ino)->fd);
    if (linkat(AT_FDCWD, path, of(parent)->fd, name, AT_SYMLINK_FOLLOW)) {
        fuse_reply_err(req, errno);
        return;
    }
    int error = lost(false);
    struct fuse_entry_param entry;
    if (!error) error = look(of(parent), name, &entry);
    if (error) fuse_reply_err(req, error);
    else fuse_reply_entry(req, &entry);
}

/// What a name stands for, when this host knows it, is not ESTALE when this host takes the name.
static void taken_here(struct inode *parent, const char *name) {
    struct stat found;
    if (fstatat(parent->fd, name, &found, AT_SYMLINK_NOFOLLOW)) return;
    pthread_mutex_lock(&lock);
    for (struct inode *inode = table[found.st_ino % BUCKETS]; inode; inode = inode->next)
        if (inode->number == found.st_ino && inode->device == found.st_dev) inode->removed_here = true;
    pthread_mutex_unlock(&lock);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name) {
    BEGIN(of(parent));
    taken_here(of(parent), name);
    ANSWER(unlinkat(of(parent)->fd, name, 0));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name) {
    BEGIN(of(parent));
    taken_here(of(parent), name);
    ANSWER(unlinkat(of(parent)->fd, name, AT_REMOVEDIR));
}

static void op_rename(
    fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name, unsigned flags) {
    BEGIN(of(parent));
    if (flags) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    taken_here(of(new_parent), new_name);
    if (renameat(of(parent)->fd, name, of(new_parent)->fd, new_name)) fuse_reply_err(req, errno);
    else fuse_reply_err(req, lost(true));
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    BEGIN(of(ino));
    char path[64];
    proc(path, of(ino)->fd);
    int fd = open(path, (file->flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL | O_APPEND | O_DIRECT)) | O_CLOEXEC);
    if (fd < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    file->fh = (uint64_t)fd;
    fuse_reply_open(req, file);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *file) {
    BEGIN(of(parent));
    NEEDS_ROOM();
    int fd = openat(
        of(parent)->fd, name, (file->flags & ~(O_APPEND | O_DIRECT)) | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    give(req, of(parent), name);
    struct fuse_entry_param entry;
    int error = look(of(parent), name, &entry);
    if (error) {
        close(fd);
        fuse_reply_err(req, error);
        return;
    }
    file->fh = (uint64_t)fd;
    fuse_reply_create(req, &entry, file);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file) {
    BEGIN(of(ino));
    struct fuse_bufvec from = FUSE_BUFVEC_INIT(size);
    from.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    from.buf[0].fd = (int)file->fh;
    from.buf[0].pos = offset;
    fuse_reply_data(req, &from, 0);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset, struct fuse_file_info *file) {
    BEGIN(of(ino));
    NEEDS_ROOM();
    ssize_t written = pwrite((int)file->fh, bytes, size, offset);
    if (written < 0) fuse_reply_err(req, errno);
    else fuse_reply_write(req, (size_t)written);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    (void)file;
    BEGIN(of(ino));
    fuse_reply_err(req, is_on("close") ? ENOSPC : 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    (void)ino;
    wait_while_frozen();
    close((int)file->fh);
    fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data, struct fuse_file_info *file) {
    BEGIN(of(ino));
    ANSWER(data ? fdatasync((int)file->fh) : fsync((int)file->fh));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *file) {
    BEGIN(of(ino));
    NEEDS_ROOM();
    ANSWER(fallocate((int)file->fh, mode, offset, length));
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    BEGIN(of(ino));
    int fd = openat(of(ino)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int error = errno;
        if (fd >= 0) close(fd);
        fuse_reply_err(req, error);
        return;
    }
    file->fh = (uintptr_t)directory;
    fuse_reply_open(req, file);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file) {
    BEGIN(of(ino));
    DIR *directory = (DIR *)(uintptr_t)file->fh;
    char *buffer = malloc(size);
    size_t used = 0;
    if (telldir(directory) != offset) seekdir(directory, offset);
    struct dirent *found;
    long before = telldir(directory);
    while (buffer && (found = readdir(directory))) {
        struct stat entry = {.st_ino = found->d_ino, .st_mode = (mode_t)found->d_type << 12};
        size_t wanted = fuse_add_direntry(req, buffer + used, size - used, found->d_name, &entry, found->d_off);
        if (wanted > size - used) {
            seekdir(directory, before);
            break;
        }
        used += wanted;
        before = found->d_off;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
    (void)ino;
    closedir((DIR *)(uintptr_t)file->fh);
    fuse_reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data, struct fuse_file_info *file) {
    (void)data;
    BEGIN(of(ino));
    ANSWER(fsync(dirfd((DIR *)(uintptr_t)file->fh)));
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino) {
    BEGIN(of(ino));
    struct statvfs found;
    if (fstatvfs(root.fd, &found)) {
        fuse_reply_err(req, errno);
        return;
    }
    if (is_on("full")) found.f_bavail = found.f_bfree = 0;
    fuse_reply_statfs(req, &found);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags) {
    BEGIN(of(ino));
    NEEDS_ROOM();
    char path[64];
    proc(path, of(ino)->fd);
    ANSWER(setxattr(path, name, value, size, flags));
}

static void answer_bytes(fuse_req_t req, ssize_t length, const char *bytes, size_t size) {
    if (length < 0) fuse_reply_err(req, errno);
    else if (size == 0) fuse_reply_xattr(req, (size_t)length);
    else fuse_reply_buf(req, bytes, (size_t)length);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size) {
    BEGIN(of(ino));
    char path[64], bytes[65536];
    proc(path, of(ino)->fd);
    answer_bytes(req, getxattr(path, name, bytes, size < sizeof bytes ? size : sizeof bytes), bytes, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size) {
    BEGIN(of(ino));
    char path[64], bytes[65536];
    proc(path, of(ino)->fd);
    answer_bytes(req, listxattr(path, bytes, size < sizeof bytes ? size : sizeof bytes), bytes, size);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name) {
    BEGIN(of(ino));
    char path[64];
    proc(path, of(ino)->fd);
    ANSWER(removexattr(path, name));
}

static const struct fuse_lowlevel_ops operations = {
    .init = op_init, .lookup = op_lookup, .forget = op_forget, .forget_multi = op_forget_multi, .getattr = op_getattr,
    .setattr = op_setattr, .readlink = op_readlink, .mknod = op_mknod, .mkdir = op_mkdir, .symlink = op_symlink,
    .link = op_link, .unlink = op_unlink, .rmdir = op_rmdir, .rename = op_rename, .open = op_open, .create = op_create,
    .read = op_read, .write = op_write, .flush = op_flush, .release = op_release, .fsync = op_fsync,
    .fallocate = op_fallocate, .opendir = op_opendir, .readdir = op_readdir, .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir, .statfs = op_statfs, .setxattr = op_setxattr, .getxattr = op_getxattr,
    .listxattr = op_listxattr, .removexattr = op_removexattr,
};

int main(int count, char **words) {
    if (count < 4 || count > 5) {
        fprintf(stderr, "usage: filter DIRECTORY MOUNTPOINT CONTROL [SECONDS]\n");
        return 2;
    }
    umask(0);
    root.fd = open(words[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    control = open(words[3], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root.fd < 0 || control < 0) {
        perror(root.fd < 0 ? words[1] : words[3]);
        return 1;
    }
    if (count == 5) seconds = atof(words[4]);
    const char *given = getenv("SEED");
    seed = given ? (unsigned)atol(given) : (unsigned)time(NULL);
    // By root it is for all, and for the kernel to check modes, as a network's file system is.
    char *options[] = {words[0], "-o", geteuid() == 0 ? "fsname=filter,subtype=filter,allow_other,default_permissions" : "fsname=filter,subtype=filter"};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, options);
    struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, words[2])) return 1;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, 256);
    fuse_loop_cfg_set_idle_threads(config, 64);
    int result = fuse_session_loop_mt(session, config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return result < 0;
}

#define _GNU_SOURCE
#define CLINUX_IMPLEMENTATION
#include "clinux.h"
#include <malloc.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/genetlink.h>
#include <linux/openat2.h>
#include <linux/taskstats.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

int clinux_openat(int dir, const char *path, int flags, mode_t mode) {
    return openat(dir, path, flags | O_CLOEXEC, mode);
}

int clinux_openat_beneath(int dir, const char *path, int flags, mode_t mode) {
    struct open_how how = {0};
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    how.mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

int clinux_renameat2(int fromDir, const char *from, int toDir, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, fromDir, from, toDir, to, flags);
}

/* syncfs(2) */
int clinux_syncfs(int fd) { return syncfs(fd); }

int clinux_fallocate(int fd, int mode, off_t offset, off_t length) {
    return fallocate(fd, mode, offset, length);
}

ssize_t clinux_copy_file_range(
    int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned flags) {
    return syscall(SYS_copy_file_range, from, fromOffset, to, toOffset, length, flags);
}

int clinux_begin_sync(int fd) {
    return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int clinux_sem_wait(sem_t *semaphore, int milliseconds) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += milliseconds % 1000 * 1000000L;
    end.tv_sec += milliseconds / 1000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    return sem_clockwait(semaphore, CLOCK_MONOTONIC, &end);
}

void clinux_name_thread(pthread_t thread, const char *name) { pthread_setname_np(thread, name); }

int clinux_ioctl_pointer(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}

int clinux_fcntl_int(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

int clinux_lock_open_file(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

void clinux_syslog(int priority, const char *text) {
    syslog(priority, "%s", text);
}

void clinux_set_process_name(const char *name) { (void)prctl(PR_SET_NAME, name); }

int clinux_kind_of(const char *path, uint32_t *mode, uint64_t *device, uint64_t *number) {
    struct statx x;
    // Nothing else is asked for: what a file system that is a process would have to be asked for is left alone (fs/fuse/dir.c).
    if (statx(AT_FDCWD, path, CLINUX_AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &x) != 0) return -1;
    *mode = x.stx_mode;
    *device = makedev(x.stx_dev_major, x.stx_dev_minor);
    *number = x.stx_ino;
    return 0;
}

int clinux_stat_at(int dir, const char *name, int flags, void *stat, int64_t *born) {
    struct stat *found = stat;
    struct statx x;
    if (statx(dir, name, flags, STATX_BASIC_STATS | STATX_BTIME, &x) != 0) return -1;
    memset(found, 0, sizeof *found);
    found->st_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
    found->st_ino = x.stx_ino;
    found->st_mode = x.stx_mode;
    found->st_nlink = x.stx_nlink;
    found->st_uid = x.stx_uid;
    found->st_gid = x.stx_gid;
    found->st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor);
    found->st_size = (off_t)x.stx_size;
    found->st_blksize = x.stx_blksize;
    found->st_blocks = (blkcnt_t)x.stx_blocks;
    found->st_atim.tv_sec = x.stx_atime.tv_sec;
    found->st_atim.tv_nsec = x.stx_atime.tv_nsec;
    found->st_mtim.tv_sec = x.stx_mtime.tv_sec;
    found->st_mtim.tv_nsec = x.stx_mtime.tv_nsec;
    found->st_ctim.tv_sec = x.stx_ctime.tv_sec;
    found->st_ctim.tv_nsec = x.stx_ctime.tv_nsec;
    // Only compared, so it may wrap.
    *born = x.stx_mask & STATX_BTIME
                ? (int64_t)((uint64_t)x.stx_btime.tv_sec * 1000000000u + x.stx_btime.tv_nsec)
                : 0;
    return 0;
}

// The raw calls in what follows: glibc's wrappers of id calls would change every thread.

// What a thread that acts for users has of its own, once it did.
static __thread int has_own_umask;
static __thread int has_capabilities;
static __thread struct __user_cap_data_struct capabilities[2];

static void set_reserves(int in_effect) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    if (!has_capabilities) {
        if (syscall(SYS_capget, &header, capabilities) != 0) return;
        has_capabilities = 1;
    }
    int index = CAP_TO_INDEX(CAP_SYS_RESOURCE);
    if (!(capabilities[index].permitted & CAP_TO_MASK(CAP_SYS_RESOURCE))) return;
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return;
    if (in_effect) {
        data[index].effective |= capabilities[index].effective & CAP_TO_MASK(CAP_SYS_RESOURCE);
    } else {
        data[index].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
    }
    (void)syscall(SYS_capset, &header, data);
}

mode_t clinux_set_umask(mode_t mask) {
    if (!has_own_umask) {
        (void)unshare(CLONE_FS);
        has_own_umask = 1;
    }
    return umask(mask);
}

int clinux_act_as(uid_t user, gid_t group, const gid_t *groups, int count) {
    if (count >= 0 && syscall(SYS_setgroups, count, groups) != 0) return -1;
    syscall(SYS_setfsgid, group);
    syscall(SYS_setfsuid, user);
    // They tell the id before and never fail (setfsuid(2)): asked once more, they tell whether it is so.
    if ((uid_t)syscall(SYS_setfsuid, user) != user || (gid_t)syscall(SYS_setfsgid, group) != group) {
        clinux_act_for_itself(count >= 0);
        errno = EPERM;
        return -1;
    }
    if (user != 0) set_reserves(0);
    return 0;
}

void clinux_act_for_itself(int with_groups) {
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, 0);
    if (with_groups) (void)syscall(SYS_setgroups, 0, NULL);
    set_reserves(1);
}

int clinux_terminal_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int clinux_may_trace(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return 0;
    return (data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE)) != 0;
}

int clinux_may_access(int fd, int mode) {
    return (int)syscall(SYS_faccessat2, fd, "", mode, AT_EACCESS | AT_EMPTY_PATH);
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_dup3(int from, int to) { return dup3(from, to, O_CLOEXEC); }

int clinux_inotify(void) { return inotify_init1(IN_CLOEXEC | IN_NONBLOCK); }

int clinux_inotify_watch(int inotify, int directory) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
    return inotify_add_watch(inotify, path,
                             IN_ONLYDIR | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB |
                                 IN_MOVE_SELF);
}

void clinux_inotify_unwatch(int inotify, int watch) { (void)inotify_rm_watch(inotify, watch); }

void clinux_give_memory_back(void) { malloc_trim(0); }

int clinux_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

ssize_t clinux_getxattr(const char *path, const char *name, void *value, size_t size) {
    return getxattr(path, name, value, size);
}

ssize_t clinux_fgetxattr(int fd, const char *name, void *value, size_t size) {
    return fgetxattr(fd, name, value, size);
}

int clinux_setxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    return setxattr(path, name, value, size, flags);
}

ssize_t clinux_listxattr(const char *path, char *list, size_t size) {
    return listxattr(path, list, size);
}

int clinux_removexattr(const char *path, const char *name) {
    return removexattr(path, name);
}

struct attribute_change {
    int fd;
    const char *name;
    const void *value;
    size_t size;
    int flags;
    uid_t user;
    gid_t group;
    int error;
};

static int put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

// Runs in the caller's memory while the caller's thread waits (CLONE_VFORK): system calls only.
static int change_attribute(void *argument) {
    struct attribute_change *change = argument;
    char text[64];
    snprintf(text, sizeof text, "%u %u 1", change->user, change->user);
    if ((change->error = put("/proc/self/uid_map", text)) != 0) return 0;
    if ((change->error = put("/proc/self/setgroups", "deny")) != 0) return 0;
    snprintf(text, sizeof text, "%u %u 1", change->group, change->group);
    if ((change->error = put("/proc/self/gid_map", text)) != 0) return 0;
    snprintf(text, sizeof text, "/proc/self/fd/%d", change->fd);
    int result = change->value ? setxattr(text, change->name, change->value, change->size, change->flags)
                               : removexattr(text, change->name);
    change->error = result < 0 ? errno : 0;
    return 0;
}

int clinux_change_attribute_of_own(int fd, const char *name, const void *value, size_t size, int flags) {
    struct attribute_change change = {fd, name, value, size, flags, geteuid(), getegid(), ENOSYS};
    char stack[16384] __attribute__((aligned(16)));
    // A handler that ran in the child would run in this memory.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Without a signal at its end nobody but `__WALL` waits for it.
    pid_t child = clone(change_attribute, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_NEWUSER, &change);
    if (child < 0) change.error = errno;
    else while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (change.error == 0) return 0;
    errno = change.error;
    return -1;
}

struct generic_message {
    struct nlmsghdr head;
    struct genlmsghdr generic;
    char rest[2048];
};

static int ask(int fd, uint16_t family, uint8_t command, uint16_t attribute, const char *text) {
    struct generic_message message = {0};
    struct nlattr *first = (struct nlattr *)message.rest;
    size_t length = strlen(text) + 1;
    first->nla_type = attribute;
    first->nla_len = (uint16_t)(NLA_HDRLEN + length);
    memcpy(message.rest + NLA_HDRLEN, text, length);
    message.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(GENL_HDRLEN) + NLA_ALIGN(first->nla_len));
    message.head.nlmsg_type = family;
    message.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message.generic.cmd = command;
    message.generic.version = 1;
    return send(fd, &message, message.head.nlmsg_len, 0) < 0 ? -1 : 0;
}

// The attribute of a type in a run of attributes; NULL when it is not there.
static const struct nlattr *find(const char *start, size_t size, uint16_t type) {
    while (size >= NLA_HDRLEN) {
        const struct nlattr *one = (const struct nlattr *)start;
        if (one->nla_len < NLA_HDRLEN || one->nla_len > size) return NULL;
        if ((one->nla_type & NLA_TYPE_MASK) == type) return one;
        size_t step = NLA_ALIGN(one->nla_len);
        if (step >= size) return NULL;
        start += step;
        size -= step;
    }
    return NULL;
}

// Reads answers until the acknowledgement; the id of a family that an answer names goes to `family`.
static int acknowledged(int fd, uint16_t *family) {
    for (int tries = 0; tries < 16; tries++) {
        struct generic_message message;
        ssize_t size = recv(fd, &message, sizeof message, 0);
        if (size < (ssize_t)sizeof(struct nlmsghdr)) return -1;
        if (message.head.nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = (const struct nlmsgerr *)&message.generic;
            return size >= (ssize_t)NLMSG_LENGTH(sizeof(int)) && error->error == 0 ? 0 : -1;
        }
        if (message.head.nlmsg_type != GENL_ID_CTRL || family == NULL) continue;
        const struct nlattr *id = find(message.rest, (size_t)size - NLMSG_LENGTH(GENL_HDRLEN), CTRL_ATTR_FAMILY_ID);
        if (id) memcpy(family, (const char *)id + NLA_HDRLEN, sizeof *family);
    }
    return -1;
}

int clinux_failures_open(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 1};
    int room = 4 << 20;
    uint16_t family = 0;
    char cpus[64];
    snprintf(cpus, sizeof cpus, "0-%ld", sysconf(_SC_NPROCESSORS_CONF) - 1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME) < 0
        || acknowledged(fd, &family) < 0 || family == 0
        || ask(fd, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, cpus) < 0 || acknowledged(fd, NULL) < 0) {
        close(fd);
        return -1;
    }
    // The exit code is 40 bytes in: the heads of the message (16), of generic netlink (4) and of the outer attribute (4), the attribute of the
    // process number (8), the head of the statistics (4), and their version (4). Where a kernel should have it elsewhere, something else is
    // looked at there, which is not 0: then all that ends is kept, and sorted out when it is read.
    struct sock_filter failures[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 40),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog filter = {.len = sizeof failures / sizeof *failures, .filter = failures};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
    return fd;
}

int clinux_failures_next(int fd, struct clinux_failure *failure) {
    for (;;) {
        struct generic_message message;
        ssize_t size = recv(fd, &message, sizeof message, MSG_DONTWAIT);
        if (size < 0) {
            if (errno == EINTR) continue;
            return errno == ENOBUFS ? -1 : 0;
        }
        if (size < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN)) continue;
        const struct nlattr *all = find(message.rest, (size_t)size - NLMSG_LENGTH(GENL_HDRLEN), TASKSTATS_TYPE_AGGR_PID);
        if (!all) continue;
        const struct nlattr *one = find((const char *)all + NLA_HDRLEN, all->nla_len - NLA_HDRLEN, TASKSTATS_TYPE_STATS);
        struct taskstats found = {0};
        if (!one || one->nla_len < NLA_HDRLEN + offsetof(struct taskstats, ac_minflt)) continue;
        size_t length = one->nla_len - NLA_HDRLEN;
        memcpy(&found, (const char *)one + NLA_HDRLEN, length < sizeof found ? length : sizeof found);
        if (found.ac_exitcode == 0) continue;
        failure->process = (int32_t)found.ac_pid;
        failure->parent = (int32_t)found.ac_ppid;
        failure->code = found.ac_exitcode;
        memcpy(failure->program, found.ac_comm, sizeof failure->program);
        failure->program[sizeof failure->program - 1] = 0;
        return 1;
    }
}

int clinux_is_read(long call) { return call == SYS_read || call == SYS_readv; }

void clinux_hurry(void) { setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -15); }

int clinux_process_events_open(void) {
    int fd = socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    int room = 1 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    // The event is 36 bytes in, after the heads of the message (16) and of the connector (20); what it is comes first, the numbers of thread and
    // process 16 bytes later. Of a fork the parent's come before the child's.
    struct sock_filter processes[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 36),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXEC), 10, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXIT), 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_FORK), 0, 9),
        // A child that is a process.
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 4, 5),
        // The end of a process's own thread.
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 56),
        BPF_STMT(BPF_MISC | BPF_TAX, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 52),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = {.len = sizeof processes / sizeof *processes, .filter = processes};
    char message[NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(uint32_t))] = {0};
    struct nlmsghdr head = {.nlmsg_len = sizeof message, .nlmsg_type = NLMSG_DONE};
    struct cn_msg connector = {.id = {.idx = CN_IDX_PROC, .val = CN_VAL_PROC}, .len = sizeof(uint32_t)};
    uint32_t operation = PROC_CN_MCAST_LISTEN;
    memcpy(message, &head, sizeof head);
    memcpy(message + NLMSG_HDRLEN, &connector, sizeof connector);
    memcpy(message + NLMSG_HDRLEN + sizeof connector, &operation, sizeof operation);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0
        || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || send(fd, message, sizeof message, 0) != sizeof message) {
        close(fd);
        return -1;
    }
    return fd;
}

int clinux_process_events_next(int fd, struct clinux_process_event *event) {
    for (;;) {
        union {
            struct nlmsghdr head;
            char bytes[512];
        } message;
        ssize_t size = recv(fd, &message, sizeof message, MSG_DONTWAIT);
        if (size < 0) {
            if (errno == EINTR) continue;
            if (errno != ENOBUFS) return 0;
            memset(event, 0, sizeof *event);
            return 1;
        }
        struct proc_event found = {0};
        size_t start = NLMSG_HDRLEN + sizeof(struct cn_msg);
        if ((size_t)size < start + offsetof(struct proc_event, event_data) + 16) continue;
        size_t length = (size_t)size - start;
        memcpy(&found, message.bytes + start, length < sizeof found ? length : sizeof found);
        event->time = found.timestamp_ns;
        event->parent = 0;
        switch ((uint32_t)found.what) {
        case PROC_EVENT_FORK:
            event->what = 1;
            event->process = found.event_data.fork.child_tgid;
            event->parent = found.event_data.fork.parent_tgid;
            return 1;
        case PROC_EVENT_EXEC:
            event->what = 2;
            event->process = found.event_data.exec.process_tgid;
            return 1;
        case PROC_EVENT_EXIT:
            event->what = 3;
            event->process = found.event_data.exit.process_tgid;
            return 1;
        default: continue;
        }
    }
}

// <sys/fanotify.h> of older C libraries lacks them.
#ifndef FAN_REPORT_PIDFD
#define FAN_REPORT_PIDFD 0x00000080
#define FAN_EVENT_INFO_TYPE_PIDFD 4
#endif

int clinux_file_events_open(int by_handles) {
    unsigned flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_PIDFD;
    if (by_handles) flags |= FAN_REPORT_FID | FAN_REPORT_DFID_NAME;
    // What is opened for us is never waited for, as a fifo's other end would be.
    return fanotify_init(flags, O_RDONLY | O_CLOEXEC | O_LARGEFILE | O_NONBLOCK | O_NOATIME);
}

int clinux_file_events_watch(int group, const char *path, int what) {
    unsigned flags = (what == 3 ? FAN_MARK_REMOVE : FAN_MARK_ADD) | (what == 2 ? FAN_MARK_MOUNT : FAN_MARK_FILESYSTEM);
    uint64_t mask = what == 1 || what == 3 ? FAN_OPEN_EXEC : FAN_OPEN | FAN_OPEN_EXEC | FAN_CLOSE_NOWRITE;
    return fanotify_mark(group, flags, mask, AT_FDCWD, path);
}

size_t clinux_file_events_next(const void *buffer, size_t size, size_t offset, struct clinux_file_event *event) {
    const char *start = (const char *)buffer + offset;
    struct fanotify_event_metadata head;
    if (offset > size || size - offset < sizeof head) return 0;
    memcpy(&head, start, sizeof head);
    if (head.event_len < sizeof head || head.event_len > size - offset) return 0;
    if (head.metadata_len < sizeof head || head.metadata_len > head.event_len) return 0;
    memset(event, 0, sizeof *event);
    event->what = (head.mask & FAN_OPEN ? 1 : 0) | (head.mask & FAN_CLOSE_NOWRITE ? 2 : 0) | (head.mask & FAN_OPEN_EXEC ? 4 : 0)
                  | (head.mask & FAN_Q_OVERFLOW || head.vers != FANOTIFY_METADATA_VERSION ? 8 : 0);
    event->process = head.pid;
    event->process_file = -1;
    event->file = head.fd >= 0 ? head.fd : -1;
    size_t place = head.metadata_len;
    struct fanotify_event_info_header info;
    while (head.event_len - place >= sizeof info) {
        memcpy(&info, start + place, sizeof info);
        if (info.len < sizeof info || info.len > head.event_len - place) break;
        size_t fixed = offsetof(struct fanotify_event_info_fid, handle);
        if (info.info_type == FAN_EVENT_INFO_TYPE_PIDFD && info.len >= sizeof info + sizeof(int32_t)) {
            int32_t file;
            memcpy(&file, start + place + sizeof info, sizeof file);
            event->process_file = file >= 0 ? file : -1;
        } else if ((info.info_type == FAN_EVENT_INFO_TYPE_FID || info.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME
                    || info.info_type == FAN_EVENT_INFO_TYPE_DFID)
                   && info.len >= fixed + sizeof(struct file_handle)) {
            struct file_handle handle;
            memcpy(&handle, start + place + fixed, sizeof handle);
            size_t length = sizeof handle + handle.handle_bytes;
            if (handle.handle_bytes <= MAX_HANDLE_SZ && length <= info.len - fixed) {
                memcpy(&event->file_system, start + place + sizeof info, sizeof event->file_system);
                if (info.info_type == FAN_EVENT_INFO_TYPE_FID) {
                    event->handle = (uint32_t)(offset + place + fixed);
                    event->handle_length = (uint32_t)length;
                } else {
                    event->directory = (uint32_t)(offset + place + fixed);
                    event->directory_length = (uint32_t)length;
                }
            }
        }
        place += info.len;
    }
    return offset + head.event_len;
}

int clinux_queued(int fd) {
    int count = 0;
    return ioctl(fd, FIONREAD, &count) == 0 ? count / (int)FAN_EVENT_METADATA_LEN : -1;
}

int clinux_file_events_wait(int one, int other, int wake, int mounts) {
    struct pollfd all[4] = {{one, POLLIN, 0}, {other, POLLIN, 0}, {wake, POLLIN, 0}, {mounts, POLLPRI, 0}};
    if (poll(all, 4, -1) < 0) return -1;
    int ready = 0;
    for (int index = 0; index < 4; index++) if (all[index].revents) ready |= 1 << index;
    return ready;
}

int clinux_open_handle(int mount, const void *handle, size_t length) {
    union {
        struct file_handle head;
        char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } copy;
    if (length < sizeof copy.head || length > sizeof copy) {
        errno = EINVAL;
        return -1;
    }
    memcpy(&copy, handle, length);
    if (copy.head.handle_bytes > length - sizeof copy.head) {
        errno = EINVAL;
        return -1;
    }
    return open_by_handle_at(mount, &copy.head, O_PATH | O_CLOEXEC);
}

int clinux_filesystem_id(int fd, uint64_t *id) {
    struct statfs found;
    if (fstatfs(fd, &found) != 0) return -1;
    memcpy(id, &found.f_fsid, sizeof *id);
    return 0;
}

int clinux_flush_output(void) {
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    if (errno == 0) errno = EIO;
    return -1;
}

const void *clinux_memmem(const void *hay, size_t hayLength, const void *needle, size_t needleLength) {
    return memmem(hay, hayLength, needle, needleLength);
}

int clinux_pidfd_open(pid_t process) {
    return (int)syscall(SYS_pidfd_open, process, 0);
}

ssize_t clinux_getdents(int directory, void *buffer, size_t size) {
    return syscall(SYS_getdents64, directory, buffer, size);
}

int clinux_process_birth(pid_t process, int isThread, uint64_t *birth) {
    // PIDFD_THREAD is O_EXCL (linux/pidfd.h), which Debian 12's headers lack, as they do PID_FS_MAGIC.
    int fd = (int)syscall(SYS_pidfd_open, process, isThread ? O_EXCL : 0);
    if (fd < 0) return -1;
    struct stat found;
    int isTold = clinux_filesystem_type(fd) == 0x50494446 && fstat(fd, &found) == 0;
    int reason = isTold ? 0 : errno;
    close(fd);
    if (!isTold) {
        errno = reason ? reason : ENOSYS;
        return -1;
    }
    *birth = found.st_ino;
    return 0;
}

void clinux_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int clinux_signal_file(void) {
    static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) sigaddset(&set, passed[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int clinux_next_signal(int fd, int *isSent) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != sizeof info) return 0;
    *isSent = info.ssi_code <= 0;
    return (int)info.ssi_signo;
}

pid_t clinux_thread(void) { return (pid_t)syscall(SYS_gettid); }

int clinux_pidfd_exit_code(int pidfd, int *code) {
    // struct pidfd_info of linux/pidfd.h, which Debian 12's headers lack.
    struct {
        uint64_t mask, cgroup;
        uint32_t ids[11];
        int32_t exit_code;
    } info = {.mask = 1u << 3};  // PIDFD_INFO_EXIT
    if (ioctl(pidfd, _IOWR(0xff, 11, info), &info) != 0) return -1;
    if (!(info.mask & (1u << 3))) return -1;
    *code = info.exit_code;
    return 0;
}

int clinux_memfd(const char *name) {
    return memfd_create(name, MFD_CLOEXEC);
}

long clinux_filesystem_type(int fd) {
    struct statfs information;
    return fstatfs(fd, &information) == 0 ? (long)information.f_type : 0;
}

int clinux_socketpair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

// Room for one descriptor, aligned as the headers in it must be.
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

ssize_t clinux_send_descriptor(int socket, int fd, const void *bytes, size_t length) {
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec vector = {(void *)bytes, length};
    struct msghdr message = {0};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

ssize_t clinux_receive_descriptor(int socket, int *fd, void *bytes, size_t length) {
    union control control;
    struct iovec vector = {bytes, length};
    struct msghdr message = {0};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    *fd = -1;
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return count;
}

ssize_t clinux_send(int socket, const void *bytes, size_t length) { return send(socket, bytes, length, MSG_NOSIGNAL); }

void clinux_confine(size_t memory) {
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    struct rlimit limit = {memory, memory};
    (void)setrlimit(RLIMIT_AS, &limit);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)syscall(SYS_close_range, 3u, ~0u, 0u);
    if (geteuid() == 0) {
        // "nobody": the file that it is given is open already.
        (void)!setgroups(0, NULL);
        (void)!setgid(65534);
        (void)!setuid(65534);
    }
}

pid_t clinux_fork(void) { return fork(); }

int clinux_inode_flags(int fd, int *flags) { return ioctl(fd, FS_IOC_GETFLAGS, flags); }

int clinux_set_inode_flags(int fd, int flags) { return ioctl(fd, FS_IOC_SETFLAGS, &flags); }

// Linux calls that Swift's Glibc overlay hides or that have no wrapper in Debian 12's glibc.
//
// Every function returns what the system call returns, with errno set on failure; the typed wrappers are in Swift. Only declarations
// are here: with _GNU_SOURCE, which the implementations need, the system's headers define types differently from what Swift's other
// modules saw.
#pragma once
// Swift sees one `sem_t`, `stat` and so on, the C library's own, whichever module it loads first: as in CFuse's shim.h. The implementation is no
// module and has no such one to import.
#if __has_feature(modules) && !defined(CLINUX_IMPLEMENTATION)
#pragma clang module import SwiftGlibc
#endif
#include <stdint.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/types.h>

// What <fcntl.h> shows with _GNU_SOURCE only.
enum { CLINUX_AT_EMPTY_PATH = 0x1000, CLINUX_AT_STATX_FORCE_SYNC = 0x2000, CLINUX_AT_STATX_DONT_SYNC = 0x4000, CLINUX_O_PATH = 010000000 };

// What <unistd.h> shows with _GNU_SOURCE only (lseek(2)).
enum { CLINUX_SEEK_DATA = 3, CLINUX_SEEK_HOLE = 4 };

// open() and its kin are variadic in C, which Swift does not import. O_CLOEXEC is always added.
int clinux_openat(int dir, const char *path, int flags, mode_t mode);

// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: never out of `dir`, never through a symbolic link (openat2(2)).
int clinux_openat_beneath(int dir, const char *path, int flags, mode_t mode);

// renameat2(2), with RENAME_NOREPLACE (1) and RENAME_EXCHANGE (2).
int clinux_renameat2(int fromDir, const char *from, int toDir, const char *to, unsigned flags);
/* syncfs(2): glibc shows it with _GNU_SOURCE only. */
int clinux_syncfs(int fd);

int clinux_fallocate(int fd, int mode, off_t offset, off_t length);

ssize_t clinux_copy_file_range(
    int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned flags);

// sync_file_range(2) of a whole file with SYNC_FILE_RANGE_WRITE: does not wait.
int clinux_begin_sync(int fd);

// sem_clockwait(3) on the monotonic clock, for so many milliseconds.
int clinux_sem_wait(sem_t *semaphore, int milliseconds);

// pthread_setname_np(3): at most 15 bytes.
void clinux_name_thread(pthread_t thread, const char *name);

int clinux_ioctl_pointer(int fd, unsigned long request, void *argument);

int clinux_fcntl_int(int fd, int command, int argument);

// fcntl(2), F_OFD_SETLK: a lock for writing on a whole file, without waiting.
int clinux_lock_open_file(int fd);

// One line to syslog(3), as text: never a format.
void clinux_syslog(int priority, const char *text);

// The process's name, as pgrep(1) and top(1) show it (PR_SET_NAME); call it from the first thread.
void clinux_set_process_name(const char *name);

// statx(2): what fstatat(2) tells, and when the file was born in nanoseconds (to be compared only; 0 where the file system does not
// say). A number may be used again for another file; number and birth together are not. `stat` is a `struct stat`, which this header
// leaves to the others to declare.
int clinux_stat_at(int dir, const char *name, int flags, void *stat, int64_t *born);

// statx(2) of a path, links followed: what kind of file it is and which one, as far as that is known without asking a server.
int clinux_kind_of(const char *path, uint32_t *mode, uint64_t *device, uint64_t *number);

// Acting for a user, in the calling thread only (credentials(7)): the file system ids are the user's and, when `count` is not
// negative, the further groups. With an fsuid other than 0 the kernel takes CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
// CAP_FOWNER, CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MAC_OVERRIDE and CAP_MKNOD out of effect (capabilities(7)), and this takes
// CAP_SYS_RESOURCE: the kernel decides as it would for the user, quotas hold, and root's reserve of a disk stays root's.
int clinux_act_as(uid_t user, gid_t group, const gid_t *groups, int count);

// Root's ids again, and no further groups when there were some.
void clinux_act_for_itself(int with_groups);

// Sets the calling thread's umask, which from the first call on is its own (unshare(2), CLONE_FS). Returns the one before.
mode_t clinux_set_umask(mode_t mask);

// How many columns a terminal has (TIOCGWINSZ); 0 when it does not say, or is none.
int clinux_terminal_columns(int fd);

// Whether CAP_SYS_PTRACE is in effect.
int clinux_may_trace(void);

// faccessat2(2) on an open descriptor, O_PATH too, with the thread's file system ids.
int clinux_may_access(int fd, int mode);

// pipe2(2), close-on-exec.
int clinux_pipe(int ends[2]);

// dup3(2), close-on-exec.
int clinux_dup3(int from, int to);

// inotify_init1(2), close-on-exec and non-blocking.
int clinux_inotify(void);

// inotify_add_watch(2) on an open directory, for whatever happens to the names in it and to the files that have them.
int clinux_inotify_watch(int inotify, int directory);

// inotify_rm_watch(2).
void clinux_inotify_unwatch(int inotify, int watch);

// Memory that is free and that the C library keeps for what may come, back to the system (malloc_trim(3)).
void clinux_give_memory_back(void);

// eventfd(2), close-on-exec and non-blocking.
int clinux_eventfd(void);

// Extended attributes by path (setxattr(2) and its kin), which Swift's Glibc does not show. The store passes /proc/self/fd/N.
ssize_t clinux_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t clinux_getxattr(const char *path, const char *name, void *value, size_t size);
int clinux_setxattr(const char *path, const char *name, const void *value, size_t size, int flags);
ssize_t clinux_listxattr(const char *path, char *list, size_t size);
int clinux_removexattr(const char *path, const char *name);
// Sets (or, without a value, removes) a `user.` attribute of a file that the caller owns and that has no write bits: by a thread in a user
// namespace of its own, in which it has CAP_DAC_OVERRIDE over what belongs to the caller's user and group (user_namespaces(7)). The file's mode
// is never changed. Fails with what clone(2) or the maps say where such namespaces are not to be had.
int clinux_change_attribute_of_own(int fd, const char *name, const void *value, size_t size, int flags);

// Writes what the C library still has of the standard output; -1 also when something could not be written before.
int clinux_flush_output(void);

// memmem(3), a GNU extension.
const void *clinux_memmem(const void *hay, size_t hayLength, const void *needle, size_t needleLength);

// A process that ended with a failure status or by a signal, as taskstats tells it (Documentation/accounting/taskstats.rst).
struct clinux_failure {
    int32_t process;
    int32_t parent;
    // As wait(2) tells it.
    uint32_t code;
    char program[16];
};
// A socket on which the kernel keeps the processes of this machine that fail, from now on; -1 without CAP_NET_ADMIN, in another than
// the first pid or user namespace, or where the kernel has no taskstats. Successful ends are not kept (a socket filter), so it is nearly always empty.
int clinux_failures_open(void);
// The next one: 1, or 0 when there is none, or -1 when some were lost because they were not read in time.
int clinux_failures_next(int fd, struct clinux_failure *failure);

// pidfd_open(2): readable when the process has ended.
int clinux_pidfd_open(pid_t process);

// The number that pidfs has given a process, or with `isThread` a thread (fstat(2) of its pidfd, kernel 6.9): no other ever has it, and what
// is made later has a higher one. 0, or -1 when it is gone, is no process's first thread, or the kernel has no pidfs.
int clinux_process_birth(pid_t process, int isThread, uint64_t *birth);

// What is made by this process's children and outlives them becomes its child (PR_SET_CHILD_SUBREAPER).
void clinux_adopt_orphans(void);

// Blocks the signals that a program passes on to its command, and SIGCHLD; returns a file that tells of them (signalfd(2)), close-on-exec and
// without waiting, or -1.
int clinux_signal_file(void);
// The next signal, or 0. *isSent is whether a process sent it, and not a terminal to all in the foreground.
int clinux_next_signal(int fd, int *isSent);

// gettid(2).
pid_t clinux_thread(void);

// The exit code of a process that has ended and was waited for, as wait(2) tells it (PIDFD_GET_INFO); -1 when the kernel does not say.
int clinux_pidfd_exit_code(int pidfd, int *code);

// Whether the number of a system call is that of read(2) or readv(2).
int clinux_is_read(long call);

// The calling thread gets its turn before others, where that may be had (setpriority(2)).
void clinux_hurry(void);

// What a process of this machine did, as the process connector tells it (linux/cn_proc.h).
struct clinux_process_event {
    // 1: `parent` made `process`; 2: it has run another program; 3: it has ended; 0: some were lost because they were not read in time.
    int32_t what;
    int32_t process;
    int32_t parent;
    // In nanoseconds, on CLOCK_MONOTONIC.
    uint64_t time;
};
// A socket on which the kernel tells of processes, not of threads, from now on; -1 without CAP_NET_ADMIN, in another than the first pid or user
// namespace, or where the kernel has no process connector.
int clinux_process_events_open(void);
// The next one: 1, or 0 when there is none.
int clinux_process_events_next(int fd, struct clinux_process_event *event);

// What a process did with a file, as fanotify(7) tells it.
struct clinux_file_event {
    // 1: it has opened it; 2: what was open to read only is closed; 4: it was opened to be run; 8: some were lost because they were not read in time.
    uint32_t what;
    // 0 of one in another pid namespace.
    int32_t process;
    // A pidfd, to be closed; -1 where the process is gone.
    int32_t process_file;
    // The file itself, open to read and to be closed; -1 where handles tell of it.
    int32_t file;
    // As clinux_filesystem_id tells it.
    uint64_t file_system;
    // Handles of the directory in which it was opened, and of the file itself, by where they begin and how long they are; 0 long where there is none.
    uint32_t directory, directory_length;
    uint32_t handle, handle_length;
};
// Something that tells of what processes open (fanotify_init(2)), by handles or else by open files; -1 without CAP_SYS_ADMIN, or where the kernel has
// none (5.15).
int clinux_file_events_open(int by_handles);
// Asks it for the file system of a path (0), for what is run from that (1) or that no more (3), or for what is opened through its mount (2):
// fanotify_mark(2).
int clinux_file_events_watch(int group, const char *path, int what);
// One of those that read(2) has put into a buffer: where the next one begins, or 0 when there is none.
size_t clinux_file_events_next(const void *buffer, size_t size, size_t offset, struct clinux_file_event *event);
// How many events are to be read, which `FIONREAD` tells by the lengths of their heads (fs/notify/fanotify/fanotify_user.c); negative where it does not.
int clinux_queued(int fd);
// Waits without an end until one of the first three has something to be read, or the mounts that the last one tells of have changed (proc_pid_mountinfo(5)); which, as
// bits in that order. Negative descriptors count for nothing.
int clinux_file_events_wait(int one, int other, int wake, int mounts);
// open_by_handle_at(2), `O_PATH`: never waits for what the file is.
int clinux_open_handle(int mount, const void *handle, size_t length);
// `f_fsid` of statfs(2).
int clinux_filesystem_id(int fd, uint64_t *id);

// getdents64(2): fills a buffer with `struct linux_dirent64`; the bytes that it took, 0 at the end.
ssize_t clinux_getdents(int directory, void *buffer, size_t size);

// memfd_create(2), close-on-exec: a regular file in memory.
int clinux_memfd(const char *name);

// The `*_SUPER_MAGIC` of the file system that a file lies on (fstatfs(2)), or 0 when it cannot be told.
long clinux_filesystem_type(int fd);

// A pair of connected sockets (socketpair(2)), close-on-exec.
int clinux_socketpair(int ends[2]);

// Sends bytes together with an open file (SCM_RIGHTS, unix(7)). Never SIGPIPE.
ssize_t clinux_send_descriptor(int socket, int fd, const void *bytes, size_t length);

// Receives what clinux_send_descriptor sent; *fd is -1 when no file came along, and close-on-exec.
ssize_t clinux_receive_descriptor(int socket, int *fd, void *bytes, size_t length);

// send(2) with MSG_NOSIGNAL.
ssize_t clinux_send(int socket, const void *bytes, size_t length);

// Gives up what the process does not need to read files that it is given: root's ids, new privileges, memory beyond `memory` bytes, and
// descriptors from 3 on, which whoever started the driver may have left open. Ignores the signals that ask a service to end: it ends with its socket.
void clinux_confine(size_t memory);

// fork(2), which Swift does not import. For processes with one thread only: others would not survive, whatever they held.
pid_t clinux_fork(void);

// A file's flags, as lsattr(1) shows them: FS_IOC_GETFLAGS and FS_IOC_SETFLAGS (ioctl_iflags(2)). The requests say long, and the kernel takes an
// int.
int clinux_inode_flags(int fd, int *flags);
int clinux_set_inode_flags(int fd, int flags);

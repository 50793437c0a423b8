// Linux calls that Swift's Glibc overlay hides or that have no wrapper in Debian 12's glibc.
// Every function returns what the system call returns, with errno set on failure; the typed wrappers are in Swift.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <syslog.h>
#include <unistd.h>

// open() and its kin are variadic in C, which Swift does not import.
static inline int clinux_openat(int dir, const char *path, int flags, mode_t mode) {
    return openat(dir, path, flags | O_CLOEXEC, mode);
}

// openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: never out of `dir`, never through a symbolic link (openat2(2)).
static inline int clinux_openat_beneath(int dir, const char *path, int flags, mode_t mode) {
    struct open_how how = {0};
    how.flags = (uint64_t)(unsigned)flags | O_CLOEXEC;
    how.mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static inline int clinux_renameat2(int fromDir, const char *from, int toDir, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, fromDir, from, toDir, to, flags);
}

static inline int clinux_fallocate(int fd, int mode, off_t offset, off_t length) {
    return fallocate(fd, mode, offset, length);
}

static inline ssize_t clinux_copy_file_range(
    int from, off_t *fromOffset, int to, off_t *toOffset, size_t length, unsigned flags) {
    return syscall(SYS_copy_file_range, from, fromOffset, to, toOffset, length, flags);
}

static inline int clinux_ioctl_pointer(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}

static inline int clinux_fcntl_int(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

static inline void clinux_syslog(int priority, const char *text) {
    syslog(priority, "%s", text);
}

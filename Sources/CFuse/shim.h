// libfuse's low-level interface, 3.14 and newer, and the few replies that need bits which 3.14 does not name.
#pragma once
// Swift sees one `struct stat`, the C library's own: without this each module has another one, and which of them counts in a file depends on
// the order in which the compiler happened to load them.
#if __has_feature(modules)
#pragma clang module import SwiftGlibc
#endif
#define FUSE_USE_VERSION 314
#include <errno.h>
// As pkg-config says: `<fuse3/...>` would find the header of another version in /usr/include.
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// 3.17.1 is the first version with passthrough in its interface.
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
#define CFUSE_PASSTHROUGH_BY_LIBFUSE 1
#else
#define CFUSE_PASSTHROUGH_BY_LIBFUSE 0
#endif

// Whether the reply to INIT is changed on its way. A function: Swift calls code after a constant condition unreachable.
static inline int cfuse_changes_init(void) { return !CFUSE_PASSTHROUGH_BY_LIBFUSE; }

// Some versions make fuse_session_new a macro.
static inline struct fuse_session *cfuse_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *ops, void *userdata) {
    return fuse_session_new(args, ops, sizeof *ops, userdata);
}

// Wants passthrough of libfuse where it has it. Returns whether libfuse will negotiate it. The depth is the kernel's max_stack_depth
// (1, or 2 for backing files on overlayfs); libfuse counts the layers under this mount, and adds one itself.
static inline int cfuse_want_passthrough(struct fuse_conn_info *conn, unsigned depth) {
#if CFUSE_PASSTHROUGH_BY_LIBFUSE
    if (!(conn->capable_ext & FUSE_CAP_PASSTHROUGH)) return 0;
    conn->max_backing_stack_depth = depth - 1;
    return fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
#else
    (void)conn;
    (void)depth;
    return 0;
#endif
}

// HANDLE_KILLPRIV_V2, which 3.14 does not name: there the reply to INIT is changed.
static inline void cfuse_want_kill_priv_v2(struct fuse_conn_info *conn) {
#if CFUSE_PASSTHROUGH_BY_LIBFUSE && defined(FUSE_CAP_HANDLE_KILLPRIV_V2)
    if (conn->capable_ext & FUSE_CAP_HANDLE_KILLPRIV_V2) fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
#else
    (void)conn;
#endif
}

// Sets what a file system wants and unwants, in the 32 bits that all versions have.
static inline void cfuse_want(struct fuse_conn_info *conn, unsigned wanted, unsigned unwanted) {
#if CFUSE_PASSTHROUGH_BY_LIBFUSE
    for (int bit = 0; bit < 32; bit++) {
        uint64_t flag = (uint64_t)1 << bit;
        if (unwanted & flag) fuse_unset_feature_flag(conn, flag);
        else if (wanted & flag & conn->capable_ext) fuse_set_feature_flag(conn, flag);
    }
#else
    conn->want = (conn->want | (wanted & conn->capable)) & ~unwanted;
#endif
}

// The kernel's reply bodies (linux/fuse.h, protocol 7.40).
struct cfuse_open_out {
    uint64_t fh;
    uint32_t open_flags;
    int32_t backing_id;
};

struct cfuse_attr {
    uint64_t ino, size, blocks, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec, mode, nlink, uid, gid, rdev, blksize, flags;
};

struct cfuse_entry_out {
    uint64_t nodeid, generation, entry_valid, attr_valid;
    uint32_t entry_valid_nsec, attr_valid_nsec;
    struct cfuse_attr attr;
};

static inline struct cfuse_open_out cfuse_open_out(uint64_t fh, uint32_t open_flags, int32_t backing_id) {
    struct cfuse_open_out out = {fh, open_flags, 0};
    if (backing_id > 0) {
        // With passthrough the page cache has no part: FOPEN_PASSTHROUGH (1 << 7), and never KEEP_CACHE or DIRECT_IO.
        out.open_flags = (open_flags & ~3u) | (1u << 7);
        out.backing_id = backing_id;
    }
    return out;
}

// OPEN's reply by its bytes: 3.14 would drop the flags that it does not know.
static inline int cfuse_reply_open(fuse_req_t req, uint64_t fh, uint32_t open_flags, int32_t backing_id) {
    struct cfuse_open_out out = cfuse_open_out(fh, open_flags, backing_id);
    return fuse_reply_buf(req, (const char *)&out, sizeof out);
}

static inline void cfuse_time(double seconds, uint64_t *whole, uint32_t *nanoseconds) {
    if (!(seconds > 0)) seconds = 0;
    if (seconds > 1e9) seconds = 1e9;
    *whole = (uint64_t)seconds;
    *nanoseconds = (uint32_t)((seconds - (double)*whole) * 1e9);
}

// CREATE's reply by its bytes.
static inline int cfuse_reply_create(
    fuse_req_t req, const struct fuse_entry_param *e, uint64_t fh, uint32_t open_flags, int32_t backing_id) {
    struct {
        struct cfuse_entry_out entry;
        struct cfuse_open_out open;
    } out;
    memset(&out, 0, sizeof out);
    out.entry.nodeid = e->ino;
    out.entry.generation = e->generation;
    cfuse_time(e->entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
    cfuse_time(e->attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
    const struct stat *s = &e->attr;
    struct cfuse_attr *a = &out.entry.attr;
    a->ino = s->st_ino;
    a->size = (uint64_t)s->st_size;
    a->blocks = (uint64_t)s->st_blocks;
    a->atime = (uint64_t)s->st_atim.tv_sec;
    a->mtime = (uint64_t)s->st_mtim.tv_sec;
    a->ctime = (uint64_t)s->st_ctim.tv_sec;
    a->atimensec = (uint32_t)s->st_atim.tv_nsec;
    a->mtimensec = (uint32_t)s->st_mtim.tv_nsec;
    a->ctimensec = (uint32_t)s->st_ctim.tv_nsec;
    a->mode = s->st_mode;
    a->nlink = (uint32_t)s->st_nlink;
    a->uid = s->st_uid;
    a->gid = s->st_gid;
    a->rdev = (uint32_t)s->st_rdev;
    a->blksize = (uint32_t)s->st_blksize;
    out.open = cfuse_open_out(fh, open_flags, backing_id);
    return fuse_reply_buf(req, (const char *)&out, sizeof out);
}

static inline uint64_t cfuse_file_handle(const struct fuse_file_info *fi) { return fi->fh; }

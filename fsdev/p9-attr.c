/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages about what files are: attributes, links' texts, extended attributes, file systems. */
#include "fsdev/p9-priv.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { GETATTR_BASIC = 0x7ff };
enum {
    SET_MODE = 0x1,
    SET_UID = 0x2,
    SET_GID = 0x4,
    SET_SIZE = 0x8,
    SET_ATIME = 0x10,
    SET_MTIME = 0x20,
    SET_CTIME = 0x40,
    SET_ATIME_TO = 0x80,
    SET_MTIME_TO = 0x100,
};
enum { V9FS_MAGIC = 0x01021997 };

static void put_time(P9Call *c, const struct timespec *t)
{
    p9_put64(c, (uint64_t)t->tv_sec);
    p9_put64(c, (uint64_t)t->tv_nsec);
}

static void put_attributes(P9Server *s, P9Call *c, const struct stat *st)
{
    p9_put64(c, GETATTR_BASIC);
    p9_put_qid(s, c, st);
    p9_put32(c, st->st_mode);
    p9_put32(c, st->st_uid);
    p9_put32(c, st->st_gid);
    p9_put64(c, st->st_nlink);
    p9_put64(c, st->st_rdev);
    p9_put64(c, (uint64_t)st->st_size);
    p9_put64(c, MAX(p9_io_unit(s), 512)); /* programs take it for the best size of a buffer */
    p9_put64(c, (uint64_t)st->st_blocks);
    put_time(c, &st->st_atim);
    put_time(c, &st->st_mtim);
    put_time(c, &st->st_ctim);
    for (unsigned i = 0; i < 4; i++) {
        p9_put64(c, 0); /* birth (two), generation, version of the data */
    }
}

int p9_getattr(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    struct stat st;
    P9Handle h;
    int err;

    p9_get64(c); /* what it wants to know: all is told */
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid) {
        return -EBADF;
    }
    h = p9_handle_get(s, fid);
    err = h.fd < 0 ? h.fd : local_stat(s->fs, h.fd, &st);
    p9_handle_put(h);
    if (!err) {
        put_attributes(s, c, &st);
    }
    return err;
}

/* ---- Setting ---- */

typedef struct Changes {
    uint32_t valid, mode, uid, gid;
    uint64_t size;
    struct timespec times[2]; /* of access, of modification */
} Changes;

static void get_time(P9Call *c, struct timespec *t)
{
    t->tv_sec = (time_t)p9_get64(c);
    t->tv_nsec = (long)p9_get64(c);
}

static void choose_time(struct timespec *t, bool change, bool given)
{
    if (!change) {
        t->tv_nsec = UTIME_OMIT;
    } else if (!given) {
        t->tv_nsec = UTIME_NOW;
    }
}

static bool time_is_good(const struct timespec *t, bool given)
{
    return !given || (t->tv_nsec >= 0 && t->tv_nsec < 1000000000);
}

static int set_times(int fd, Changes *set)
{
    bool a_given = set->valid & SET_ATIME_TO, m_given = set->valid & SET_MTIME_TO;

    if (!time_is_good(&set->times[0], a_given) || !time_is_good(&set->times[1], m_given)) {
        return -EINVAL;
    }
    choose_time(&set->times[0], set->valid & SET_ATIME, a_given);
    choose_time(&set->times[1], set->valid & SET_MTIME, m_given);
    return local_set_times(fd, set->times);
}

/* A descriptor that is open for writing may do what the mode does not allow any more. */
static int set_size(const P9Fid *fid, int fd, uint64_t size)
{
    if (fid->kind == P9_FID_OPEN && size <= INT64_MAX && ftruncate(fd, (off_t)size) == 0) {
        return 0;
    }
    return local_truncate(fd, size);
}

/* The owner before the mode: a change of owner takes set-id bits away; and times after the size, which changes one. */
static int apply(const P9Server *s, const P9Fid *fid, int fd, Changes *set)
{
    int err = 0;

    if (set->valid & (SET_UID | SET_GID)) {
        err = local_chown(s->fs, fd, set->valid & SET_UID ? set->uid : UINT32_MAX,
                          set->valid & SET_GID ? set->gid : UINT32_MAX);
    }
    if (!err && (set->valid & SET_MODE)) {
        err = local_chmod(s->fs, fd, set->mode);
    }
    if (!err && (set->valid & SET_SIZE)) {
        err = set_size(fid, fd, set->size);
    }
    if (!err && (set->valid & (SET_ATIME | SET_MTIME))) {
        err = set_times(fd, set);
    }
    return err;
}

int p9_setattr(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    Changes set;
    P9Handle h;
    int err;

    set.valid = p9_get32(c);
    set.mode = p9_get32(c);
    set.uid = p9_get32(c);
    set.gid = p9_get32(c);
    set.size = p9_get64(c);
    get_time(c, &set.times[0]);
    get_time(c, &set.times[1]);
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || fid->kind > P9_FID_OPEN) {
        return fid ? -EINVAL : -EBADF;
    }
    h = p9_handle_get(s, fid);
    err = h.fd < 0 ? h.fd : apply(s, fid, h.fd, &set);
    p9_handle_put(h);
    return err;
}

/* ---- Links, file systems ---- */

int p9_readlink(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    char target[PATH_MAX];
    P9Handle h;
    int err;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid) {
        return -EBADF;
    }
    h = p9_handle_get(s, fid);
    err = h.fd < 0 ? h.fd : local_read_link(s->fs, h.fd, target, sizeof(target));
    p9_handle_put(h);
    if (!err) {
        p9_put_text(c, target);
    }
    return err;
}

int p9_statfs(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    struct statfs st;
    uint32_t fsid[2];
    P9Handle h;
    int err;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid) {
        return -EBADF;
    }
    h = p9_handle_get(s, fid);
    err = h.fd < 0 ? h.fd : fstatfs(h.fd, &st) < 0 ? -errno : 0;
    p9_handle_put(h);
    if (err) {
        return err;
    }
    memcpy(fsid, &st.f_fsid, sizeof(fsid));
    p9_put32(c, V9FS_MAGIC);
    p9_put32(c, (uint32_t)st.f_bsize);
    p9_put64(c, st.f_blocks);
    p9_put64(c, st.f_bfree);
    p9_put64(c, st.f_bavail);
    p9_put64(c, st.f_files);
    p9_put64(c, st.f_ffree);
    p9_put32(c, fsid[0]);
    p9_put32(c, fsid[1]);
    p9_put32(c, P9_MAX_NAME);
    return 0;
}

/* ---- Extended attributes: a fid of one, to be read, or to be written and stored when it is clunked ---- */

/* Its length or -errno; the new *@value is the caller's. */
static int load_xattr(P9Server *s, const P9Fid *fid, const char *name, uint8_t **value)
{
    g_autofree uint8_t *buf = g_malloc(LOCAL_XATTR_MAX);
    P9Handle h = p9_handle_get(s, fid);
    int n = h.fd;

    if (n >= 0) {
        n = *name ? local_get_xattr(s->fs, h.fd, name, buf, LOCAL_XATTR_MAX)
                  : local_list_xattr(s->fs, h.fd, (char *)buf, LOCAL_XATTR_MAX);
    }
    p9_handle_put(h);
    if (n >= 0) {
        *value = g_memdup2(buf, (size_t)n);
    }
    return n;
}

int p9_xattrwalk(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c)), *new_fid;
    uint32_t new_id = p9_get32(c);
    char name[XATTR_NAME_MAX + 1];
    uint8_t *value = NULL;
    int n, err;

    p9_get_text(c, name, sizeof(name));
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || p9_fid_find(s, new_id)) {
        return -EBADF;
    }
    n = load_xattr(s, fid, name, &value);
    if (n < 0) {
        return n;
    }
    err = p9_fid_may_keep(s, (uint64_t)n)
              ? p9_fid_new(s, new_id, p9_node_ref(fid->node), fid->uid, &new_fid)
              : -ENFILE;
    if (err) {
        g_free(value);
        return err;
    }
    p9_fid_set_value(s, new_fid, P9_FID_XATTR_READ, value, (uint64_t)n);
    p9_put64(c, (uint64_t)n);
    return 0;
}

int p9_xattrcreate(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    char name[XATTR_NAME_MAX + 1];
    uint64_t size;
    uint32_t flags;

    p9_get_text(c, name, sizeof(name));
    size = p9_get64(c);
    flags = p9_get32(c);
    if (!p9_all_got(c) || !*name || (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_PLAIN) {
        return fid ? -EINVAL : -EBADF;
    }
    if (size > LOCAL_XATTR_MAX) {
        return -E2BIG;
    }
    if (!p9_fid_may_keep(s, size)) {
        return -ENFILE;
    }
    p9_fid_set_value(s, fid, P9_FID_XATTR_WRITE, g_malloc0(size + 1), size);
    fid->name = g_strdup(name);
    fid->flags = (int)flags;
    return 0;
}

/* Replacing by nothing is how Linux takes an attribute away. */
int p9_store_xattr(P9Server *s, const P9Fid *fid)
{
    P9Handle h;
    int err;

    if (fid->written != fid->size) {
        return -EINVAL;
    }
    h = p9_handle_get(s, fid);
    err = h.fd;
    if (err >= 0) {
        err = !fid->size && (fid->flags & XATTR_REPLACE)
                  ? local_remove_xattr(s->fs, h.fd, fid->name)
                  : local_set_xattr(s->fs, h.fd, fid->name, fid->value, fid->size, fid->flags);
    }
    p9_handle_put(h);
    return err;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages about what is open: files' contents, directories' entries, locks. */
#define _GNU_SOURCE
#include "fsdev/p9-priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "util/bytes.h"

/* Flags of Tlopen and Tlcreate. */
enum {
    L_ACCESS = 03,
    L_TRUNC = 01000,
    L_DSYNC = 010000,
    L_DIRECTORY = 0200000,
    L_SYNC = 04000000,
};
enum { LOCK_UNLOCK = 2, LOCK_FLAGS = 3, LOCK_SUCCESS = 0, MAX_CLIENT = 1024 };
enum { ENTRIES = 32768 }; /* bytes asked of the host at a time */

/*
 * Appending is left to the client, who says where it writes anyway, and may write back pages of its cache by a descriptor that appends. Alignment for
 * O_DIRECT is not the client's to keep.
 */
int p9_host_flags(uint32_t flags)
{
    return (int)(flags & L_ACCESS) | (flags & L_TRUNC ? O_TRUNC : 0) |
           (flags & L_DSYNC ? O_DSYNC : 0) | ((flags & L_SYNC) == L_SYNC ? O_SYNC : 0) |
           (flags & L_DIRECTORY ? O_DIRECTORY : 0);
}

/* The largest piece of a file that fits into a message and is whole pages. */
uint32_t p9_io_unit(const P9Server *s)
{
    uint32_t most = s->msize - P9_WRITE_HEAD - 1;

    return most >= 4096 ? most & ~4095u : most;
}

int p9_lopen(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint32_t flags = p9_get32(c);
    int host = p9_host_flags(flags), fd, found, err;
    struct stat st;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_PLAIN) {
        return fid ? -EINVAL : -EBADF;
    }
    if (s->fs->readonly && ((host & O_ACCMODE) != O_RDONLY || (host & O_TRUNC))) {
        return -EROFS;
    }
    if (!p9_fid_may_open(s)) {
        return -ENFILE;
    }
    found = p9_find_node(s, fid->node);
    fd = found < 0 ? found : local_open(found, host);
    p9_handle_put((P9Handle){ found, false });
    err = fd < 0 ? fd : local_stat(s->fs, fd, &st);
    if (err) {
        p9_handle_put((P9Handle){ fd, false });
        return err;
    }
    p9_fid_set_open(s, fid, fd);
    p9_put_qid(s, c, &st);
    p9_put32(c, p9_io_unit(s));
    return 0;
}

/* ---- Reading and writing ---- */

/* Data goes behind the answer's head, which is of P9_READ_HEAD bytes. */
static void put_data(P9Call *c, uint32_t n)
{
    p9_put32(c, n);
    c->data_len = n;
}

static int read_xattr(P9Call *c, const P9Fid *fid, uint64_t offset, uint32_t count)
{
    uint64_t there = offset < fid->size ? fid->size - offset : 0;
    uint32_t n = (uint32_t)MIN(count, there);

    p9_iov_write(c->req->in, c->req->n_in, P9_READ_HEAD, fid->value + (n ? offset : 0), n);
    put_data(c, n);
    return 0;
}

int p9_read(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint64_t offset = p9_get64(c);
    uint32_t wanted = p9_get32(c), count = MIN(wanted, c->room - P9_READ_HEAD);
    ssize_t n;
    int n_iov;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (fid && fid->kind == P9_FID_XATTR_READ) {
        return read_xattr(c, fid, offset, count);
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    n_iov = p9_iov_part(c->req->in, c->req->n_in, P9_READ_HEAD, count, s->iov);
    do {
        n = preadv(fid->fd, s->iov, n_iov, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    put_data(c, (uint32_t)n);
    return 0;
}

static int write_xattr(P9Call *c, P9Fid *fid, uint64_t offset, uint32_t count)
{
    if (offset > fid->size || count > fid->size - offset) {
        return -ENOSPC;
    }
    p9_iov_read(c->req->out, c->req->n_out, P9_WRITE_HEAD, fid->value + offset, count);
    fid->written = MAX(fid->written, offset + count);
    p9_put32(c, count);
    return 0;
}

static bool write_is_whole(const P9Server *s, const P9Call *c, uint32_t count)
{
    return p9_all_got(c) && count <= c->req->out_len - P9_WRITE_HEAD &&
           count <= s->msize - P9_WRITE_HEAD;
}

int p9_write(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint64_t offset = p9_get64(c);
    uint32_t count = p9_get32(c);
    ssize_t n;
    int n_iov;

    if (!write_is_whole(s, c, count)) {
        return -EINVAL;
    }
    if (fid && fid->kind == P9_FID_XATTR_WRITE) {
        return write_xattr(c, fid, offset, count);
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    n_iov = p9_iov_part(c->req->out, c->req->n_out, P9_WRITE_HEAD, count, s->iov);
    do {
        n = pwritev(fid->fd, s->iov, n_iov, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return -errno;
    }
    p9_put32(c, (uint32_t)n);
    return 0;
}

int p9_fsync(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    bool data = p9_get32(c);

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    return (data ? fdatasync(fid->fd) : fsync(fid->fd)) < 0 ? -errno : 0;
}

/* ---- Directories ---- */

typedef struct Entries {
    uint8_t *data;
    uint32_t len, max;
    bool full;
} Entries;

enum { ENTRY_HEAD = P9_QID_SIZE + 8 + 1 + 2 };

/* With mapped-xattr a regular file may be something else for the client, who finds out when it looks at it. */
static uint8_t shown_type(const P9Server *s, uint8_t type)
{
    return s->fs->model == FS_MAPPED_XATTR && type == DT_REG ? DT_UNKNOWN : type;
}

/* The number of what is above the folder is nobody's business. */
static void add_entry(P9Server *s, Entries *e, const struct dirent64 *d, const struct stat *dir,
                      bool is_root)
{
    size_t len = strlen(d->d_name);
    uint8_t *p = e->data + e->len;
    ino_t ino = is_root && !strcmp(d->d_name, "..") ? dir->st_ino : d->d_ino;

    if (ENTRY_HEAD + len > e->max - e->len) {
        e->full = true;
        return;
    }
    p[0] = d->d_type == DT_DIR ? 0x80 : d->d_type == DT_LNK ? 0x02 : 0;
    bytes_put_le32(p + 1, 0);
    bytes_put_le64(p + 5, p9_qid_path(s, dir->st_dev, ino));
    bytes_put_le64(p + 13, (uint64_t)d->d_off);
    p[21] = shown_type(s, d->d_type);
    bytes_put_le16(p + 22, (uint16_t)len);
    memcpy(p + ENTRY_HEAD, d->d_name, len);
    e->len += ENTRY_HEAD + (uint32_t)len;
}

/* From where the directory's descriptor is. What the host gave and did not fit it is asked for again. */
static int read_entries(P9Server *s, const P9Fid *fid, Entries *e)
{
    g_autofree char *buf = g_malloc(ENTRIES);
    struct stat dir;
    ssize_t n = 1;

    if (fstat(fid->fd, &dir) < 0) {
        return -errno;
    }
    while (!e->full && n > 0) {
        n = getdents64(fid->fd, buf, ENTRIES);
        for (ssize_t at = 0; at < n && !e->full;) {
            const struct dirent64 *d = (const struct dirent64 *)(buf + at);

            add_entry(s, e, d, &dir, !fid->node->parent);
            at += d->d_reclen;
        }
    }
    return n < 0 ? -errno : e->full && !e->len ? -EINVAL : 0;
}

int p9_readdir(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint64_t offset = p9_get64(c);
    uint32_t wanted = p9_get32(c), count = MIN(wanted, c->room - P9_READ_HEAD);
    g_autofree uint8_t *data = NULL;
    Entries e = { .max = count };
    int err;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    if (lseek(fid->fd, (off_t)offset, SEEK_SET) < 0) {
        return -errno;
    }
    data = e.data = g_malloc(count + 1);
    err = read_entries(s, fid, &e);
    if (!err) {
        p9_iov_write(c->req->in, c->req->n_in, P9_READ_HEAD, e.data, e.len);
        put_data(c, e.len);
    }
    return err;
}

/* ---- Locks: the client keeps its programs apart, and there is no other client ---- */

int p9_lock(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint8_t type = p9_get8(c);
    uint32_t flags = p9_get32(c);
    char client[MAX_CLIENT];

    p9_get64(c); /* start, length, process */
    p9_get64(c);
    p9_get32(c);
    p9_get_text(c, client, sizeof(client));
    if (!p9_all_got(c) || type > LOCK_UNLOCK || (flags & ~(uint32_t)LOCK_FLAGS)) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    p9_put8(c, LOCK_SUCCESS);
    return 0;
}

int p9_getlock(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint8_t type = p9_get8(c);
    uint64_t start = p9_get64(c), length = p9_get64(c);
    uint32_t process = p9_get32(c);
    char client[MAX_CLIENT];

    p9_get_text(c, client, sizeof(client));
    if (!p9_all_got(c) || type > LOCK_UNLOCK) {
        return -EINVAL;
    }
    if (!fid || fid->kind != P9_FID_OPEN) {
        return -EBADF;
    }
    p9_put8(c, LOCK_UNLOCK);
    p9_put64(c, start);
    p9_put64(c, length);
    p9_put32(c, process);
    p9_put_text(c, client);
    return 0;
}

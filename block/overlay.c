/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot=on: writes go to a temporary file that has no name, the disk's own file is only read. A bitmap tells which clusters of 64 KiB
 * the temporary file holds. A write to another cluster first copies the rest of it; this is done under a lock, and the bit is set when the
 * cluster is whole, so readers look at the bit and take no lock.
 */
#define _GNU_SOURCE
#include "block/block-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CLUSTER = 64 * 1024 };

struct BlockOverlay {
    BlockNode *base;
    int fd;
    GMutex lock;    /* clusters come into being */
    uint64_t own[]; /* bitmap, atomic: the overlay holds the cluster */
};

static int open_temporary(const char *folder)
{
    g_autofree char *name = NULL;
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

    if (fd >= 0) {
        return fd;
    }
    name = g_build_filename(folder, "menura-XXXXXX", NULL);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) {
        unlink(name);
    }
    return fd;
}

BlockOverlay *overlay_new(BlockNode *base, GError **error)
{
    uint64_t clusters = (base->length + CLUSTER - 1) / CLUSTER;
    BlockOverlay *o = g_try_malloc0(sizeof(*o) + (clusters + 63) / 64 * 8);
    int fd = -1;

    errno = ENOMEM;
    if (o) {
        fd = open_temporary(g_get_tmp_dir());
    }
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "snapshot=on: no temporary file in %s: %s", g_get_tmp_dir(), g_strerror(errno));
        g_free(o);
        return NULL;
    }
    o->base = base;
    o->fd = fd;
    g_mutex_init(&o->lock);
    return o;
}

void overlay_free(BlockOverlay *o)
{
    close(o->fd);
    g_mutex_clear(&o->lock);
    g_free(o);
}

static bool is_own(const BlockOverlay *o, uint64_t cluster)
{
    return __atomic_load_n(&o->own[cluster / 64], __ATOMIC_ACQUIRE) >> (cluster % 64) & 1;
}

static void set_own(BlockOverlay *o, uint64_t cluster)
{
    __atomic_fetch_or(&o->own[cluster / 64], 1ull << (cluster % 64), __ATOMIC_RELEASE);
}

/* Bytes from @offset on that lie in clusters of the same kind, at most @bytes. */
static uint64_t run_length(const BlockOverlay *o, uint64_t offset, uint64_t bytes, bool *own)
{
    uint64_t cluster = offset / CLUSTER, len = CLUSTER - offset % CLUSTER;

    *own = is_own(o, cluster);
    while (len < bytes && is_own(o, ++cluster) == *own) {
        len += CLUSTER;
    }
    return MIN(len, bytes);
}

bool overlay_direct(BlockOverlay *o, uint64_t offset, uint64_t bytes, bool write, int *fd,
                    uint64_t *fd_offset)
{
    const BlockDriver *base = o->base->driver;
    bool own;

    if (run_length(o, offset, bytes, &own) < bytes) {
        return false;
    }
    if (own) {
        *fd = o->fd;
        *fd_offset = offset;
        return true;
    }
    /* A cluster's first write is more than a write. */
    return !write && base->direct && base->direct(o->base, offset, bytes, false, fd, fd_offset);
}

int overlay_read(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = 0;

    while (bytes && !err) {
        bool own;
        uint64_t len = run_length(o, offset, bytes, &own);

        err = own ? raw_read(o->fd, offset, len, c) : node_read(o->base, offset, len, c);
        offset += len;
        bytes -= len;
    }
    return err;
}

/* Copies [@start, @end) of a cluster from the base. */
static int copy_part(BlockOverlay *o, uint64_t start, uint64_t end)
{
    struct iovec iov = { NULL, end - start };
    g_autofree char *buf = NULL;
    IovCursor in, out;
    int err;

    if (start == end) {
        return 0;
    }
    buf = g_malloc(end - start);
    iov.iov_base = buf;
    in = out = (IovCursor){ &iov, 1, 0 };
    err = node_read(o->base, start, end - start, &in);
    return err ? err : raw_write(o->fd, start, end - start, &out);
}

/* A write within one cluster; @c NULL: of zeroes. */
static int write_data(BlockOverlay *o, uint64_t offset, uint64_t len, IovCursor *c)
{
    return c ? raw_write(o->fd, offset, len, c) : raw_write_zeroes(o->fd, offset, len, true);
}

static int write_new_cluster(BlockOverlay *o, uint64_t offset, uint64_t len, IovCursor *c)
{
    uint64_t start = offset - offset % CLUSTER, end = MIN(start + CLUSTER, o->base->length);
    int err = copy_part(o, start, offset);

    err = err ? err : copy_part(o, offset + len, end);
    err = err ? err : write_data(o, offset, len, c);
    if (!err) {
        set_own(o, offset / CLUSTER);
    }
    return err;
}

static int write_cluster(BlockOverlay *o, uint64_t offset, uint64_t len, IovCursor *c)
{
    int err;

    if (is_own(o, offset / CLUSTER)) {
        return write_data(o, offset, len, c);
    }
    g_mutex_lock(&o->lock);
    err = is_own(o, offset / CLUSTER) ? write_data(o, offset, len, c)
                                      : write_new_cluster(o, offset, len, c);
    g_mutex_unlock(&o->lock);
    return err;
}

static int write_clusters(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = 0;

    while (bytes && !err) {
        bool own;
        uint64_t run = run_length(o, offset, bytes, &own);
        uint64_t len = own ? run : MIN(bytes, CLUSTER - offset % CLUSTER);

        err = own ? write_data(o, offset, len, c) : write_cluster(o, offset, len, c);
        offset += len;
        bytes -= len;
    }
    return err;
}

int overlay_write(BlockOverlay *o, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return write_clusters(o, offset, bytes, c);
}

int overlay_write_zeroes(BlockOverlay *o, uint64_t offset, uint64_t bytes)
{
    return write_clusters(o, offset, bytes, NULL);
}

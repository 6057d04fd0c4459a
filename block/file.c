/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol "file": a regular file or block device of the host, locked against a second writer.
 *
 * With NodeOptions.direct it is open twice: requests whose offset, length and buffers are aligned as the host wants it go past its page
 * cache, all others (pieces of a format's tables) through it. The host's kernel keeps the two coherent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/block-priv.h"
#include "block/nbd-client.h"

typedef struct FileNode {
    int fd;
    int direct_fd; /* -1: none */
    uint32_t offset_align, memory_align;
    bool is_device, unsafe;
    int lost; /* the first flush that failed: -errno. Atomic */
} FileNode;

static int fd_of(const BlockNode *node)
{
    return ((const FileNode *)node->priv)->fd;
}

enum { SAFE_ALIGN = 4096 };

static void find_alignment(FileNode *f)
{
    struct statx st;

    f->offset_align = f->memory_align = SAFE_ALIGN;
    if (statx(f->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
        st.stx_mask & STATX_DIOALIGN && st.stx_dio_offset_align && st.stx_dio_mem_align) {
        f->offset_align = st.stx_dio_offset_align;
        f->memory_align = st.stx_dio_mem_align;
    }
}

static bool open_direct(BlockNode *node, FileNode *f, GError **error)
{
    f->direct_fd =
        open(node->name, (node->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
    if (f->direct_fd < 0) {
        return node_fail_errno(
            node, error, -errno,
            "cannot be used past the host's cache, as cache=none and directsync do");
    }
    find_alignment(f);
    return true;
}

static bool is_aligned(const FileNode *f, uint64_t offset, uint64_t bytes, const IovCursor *c)
{
    uint64_t done = 0;

    if ((offset | bytes) % f->offset_align) {
        return false;
    }
    for (int i = 0; i < c->n && done < bytes; i++) {
        size_t skip = i ? 0 : c->skip, len = c->iov[i].iov_len - skip;

        if (((uintptr_t)c->iov[i].iov_base + skip) % f->memory_align ||
            (len % f->offset_align && done + len < bytes)) {
            return false;
        }
        done += len;
    }
    return true;
}

/* The file for a request. A read to the end, where it is not aligned, would go on from there. */
static int fd_for(const BlockNode *node, uint64_t offset, uint64_t bytes, const IovCursor *c)
{
    const FileNode *f = node->priv;
    bool within = offset + bytes <= __atomic_load_n(&node->length, __ATOMIC_RELAXED);

    return f->direct_fd >= 0 && within && is_aligned(f, offset, bytes, c) ? f->direct_fd : f->fd;
}

/* A character device has no bytes that one could find. */
static int open_device(BlockNode *node, const NodeOptions *options, uint64_t *length,
                       GError **error)
{
    struct stat st;
    int fd;

    if (stat(node->name, &st) < 0 || !S_ISCHR(st.st_mode)) {
        return raw_open(node->name, options->readonly, length, error);
    }
    *length = 0;
    fd = open(node->name, (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        node_fail_errno(node, error, -errno, "cannot be opened");
    }
    return fd;
}

static bool file_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    uint64_t length;
    int fd = options->device ? open_device(node, options, &length, error)
                             : raw_open(node->name, options->readonly, &length, error);
    FileNode *f;
    struct stat st;

    if (fd < 0) {
        return false;
    }
    if ((!options->share && !file_lock(fd, node->name, options->readonly, error)) ||
        (length > NODE_MAX_LENGTH && !node_fail(node, error, "is too large"))) {
        close(fd);
        return false;
    }
    f = g_new0(FileNode, 1);
    f->fd = fd;
    f->direct_fd = -1;
    f->unsafe = options->unsafe;
    f->is_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
    if (options->direct && !open_direct(node, f, error)) {
        close(fd);
        g_free(f);
        return false;
    }
    node->priv = f;
    node->length = length;
    return true;
}

static int file_close(BlockNode *node)
{
    FileNode *f = node->priv;
    int fd = f->fd;

    if (f->direct_fd >= 0) {
        close(f->direct_fd);
    }
    g_free(f);
    return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int file_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return raw_read(fd_for(node, offset, bytes, c), offset, bytes, c);
}

/* Writers of one file at a time are many; the length only grows. */
static void grow_to(BlockNode *node, uint64_t end)
{
    uint64_t length = __atomic_load_n(&node->length, __ATOMIC_RELAXED);

    while (length < end && !__atomic_compare_exchange_n(&node->length, &length, end, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

static int file_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err;

    if (offset > NODE_MAX_LENGTH || bytes > NODE_MAX_LENGTH - offset) {
        return -EFBIG;
    }
    err = raw_write(fd_for(node, offset, bytes, c), offset, bytes, c);
    if (!err) {
        grow_to(node, offset + bytes);
    }
    return err;
}

static int file_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    uint64_t length = __atomic_load_n(&node->length, __ATOMIC_RELAXED);
    uint64_t end = offset + bytes;
    int err = 0;

    if (offset > NODE_MAX_LENGTH || bytes > NODE_MAX_LENGTH - offset) {
        return -EFBIG;
    }
    if (end > length) { /* what is behind the end is a hole already */
        if (ftruncate(fd_of(node), (off_t)end) < 0) {
            return -errno;
        }
        grow_to(node, end);
        bytes = offset < length ? length - offset : 0;
    }
    if (bytes) {
        err = raw_write_zeroes(fd_of(node), offset, bytes, unmap);
    }
    return err;
}

static int file_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    return raw_discard(fd_of(node), offset, bytes);
}

/* After a flush that failed the host's kernel may have dropped what it could not write, and says of later flushes that all is well (fsync(2)). */
static int file_flush(BlockNode *node)
{
    FileNode *f = node->priv;
    int err = f->unsafe ? 0 : __atomic_load_n(&f->lost, __ATOMIC_RELAXED);

    if (!err && !f->unsafe) {
        err = raw_flush(f->fd);
        if (err) {
            __atomic_store_n(&f->lost, err, __ATOMIC_RELAXED);
            g_printerr("menura: %s: what was written may be lost, the host says: %s\n", node->name,
                       g_strerror(-err));
        }
    }
    return err;
}

static int file_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    int fd = fd_of(node);
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA), hole;

    status->flags = NODE_DATA | NODE_ALLOCATED | NODE_MAPPED;
    status->map = offset;
    if (data < 0 && errno == ENXIO) { /* nothing but a hole up to the end */
        status->flags = NODE_ZERO | NODE_ALLOCATED | NODE_MAPPED;
    } else if (data > (off_t)offset) {
        status->flags = NODE_ZERO | NODE_ALLOCATED | NODE_MAPPED;
        status->bytes = MIN(bytes, (uint64_t)data - offset);
    } else if (data == (off_t)offset && (hole = lseek(fd, data, SEEK_HOLE)) > data) {
        status->bytes = MIN(bytes, (uint64_t)(hole - data));
    }
    return 0;
}

static bool file_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                        uint64_t *fd_offset)
{
    const FileNode *f = node->priv;

    *fd = f->fd;
    *fd_offset = offset;
    return f->direct_fd < 0; /* else how depends on the buffers */
}

static bool file_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    FileNode *f = node->priv;
    uint64_t old = node->length;
    int err = 0;

    if (f->is_device) {
        return length <= old || node_fail(node, error, "a device cannot grow");
    }
    if (ftruncate(f->fd, (off_t)length) < 0) {
        return node_fail_errno(node, error, -errno, "cannot be resized");
    }
    if (length > old && prealloc == NODE_PREALLOC_FALLOC) {
        err = raw_allocate(f->fd, old, length - old);
    } else if (length > old && prealloc == NODE_PREALLOC_FULL) {
        err = raw_fill_zeroes(f->fd, old, length - old);
    }
    if (err) {
        if (ftruncate(f->fd, (off_t)old) < 0) {
            return node_fail_errno(node, error, -errno, "cannot be resized back");
        }
        return node_fail_errno(node, error, err, "cannot get space");
    }
    node->length = length;
    return true;
}

const BlockDriver block_file_driver = {
    .name = "file",
    .is_protocol = true,
    .open = file_open,
    .close = file_close,
    .read = file_read,
    .write = file_write,
    .write_zeroes = file_write_zeroes,
    .discard = file_discard,
    .flush = file_flush,
    .status = file_status,
    .direct = file_direct,
    .truncate = file_truncate,
};

BlockNode *node_create_file(const char *file, GError **error)
{
    NodeOptions options = { .file = file };
    BlockNode *node;
    int fd;

    if (node_is_remote(file)) {
        return nbd_open_emptied(file, error);
    }
    if (g_str_has_prefix(file, "file:")) {
        options.file = file += strlen("file:");
    }
    fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: cannot be made: %s",
                    file, g_strerror(errno));
        return NULL;
    }
    close(fd);
    node = g_new0(BlockNode, 1);
    node->driver = &block_file_driver;
    node->name = g_strdup(file);
    if (!file_open(node, &options, error)) {
        g_free(node->name);
        g_free(node);
        return NULL;
    }
    /* Only now, with the lock. */
    if (!file_truncate(node, 0, NODE_PREALLOC_OFF, error)) {
        node_close(node);
        return NULL;
    }
    return node;
}

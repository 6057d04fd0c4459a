/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access to images that are made of blocks, see blockmap.h. A block is allocated in three steps: the file grows by zeroes (locked), the data
 * is written with what is copied around it from the image behind (not locked; the block is busy), and its entry is set (locked). Readers
 * see the old contents until then; other writers of the block wait.
 */
#include "block/formats/blockmap.h"
#include <errno.h>

enum { MAX_LOOKUPS = 4096, MAX_STEP = 16 << 20, COPY = 1 << 20 };

struct BlockMapBusy {
    uint64_t first, last; /* blocks */
    BlockMapBusy *next;
};

typedef struct Extent {
    BlockMapKind kind;
    uint64_t host, bytes;
} Extent;

void blockmap_init(BlockMap *m, BlockNode *node, const BlockMapOps *ops)
{
    m->node = node;
    m->ops = ops;
    g_mutex_init(&m->lock);
    g_mutex_init(&m->flush_lock);
    g_cond_init(&m->cond);
}

void blockmap_clear(BlockMap *m)
{
    blockmap_table_forget(m);
    g_mutex_clear(&m->lock);
    g_mutex_clear(&m->flush_lock);
    g_cond_clear(&m->cond);
}

/* ---- Where things are ---- */

static bool continues(const Extent *x, BlockMapKind kind, uint64_t host)
{
    return kind == x->kind && (kind != BM_DATA || host == x->host + x->bytes);
}

/* What is alike from @offset on, @bytes at most. */
static int extent_at(BlockMap *m, uint64_t offset, uint64_t bytes, bool peek, Extent *x)
{
    uint64_t size = m->block_size, index = offset / size, n = 1, host;
    BlockMapKind kind;
    int err = m->ops->lookup(m, index, peek, &x->kind, &x->host, &n);

    if (err) {
        return err;
    }
    x->host += offset % size;
    x->bytes = size - offset % size;
    for (unsigned i = 0; i < MAX_LOOKUPS; i++) {
        if (n - 1 >= (bytes - MIN(bytes, x->bytes) + size - 1) / size) {
            x->bytes = bytes;
            return 0;
        }
        x->bytes += (n - 1) * size;
        index += n;
        n = 1;
        if (m->ops->lookup(m, index, peek, &kind, &host, &n) || !continues(x, kind, host)) {
            break;
        }
        x->bytes += size;
    }
    x->bytes = MIN(x->bytes, bytes);
    return 0;
}

static void wait_until_idle(BlockMap *m, uint64_t first, uint64_t last)
{
    BlockMapBusy *b = m->busy;

    while (b) {
        if (first <= b->last && b->first <= last) {
            g_cond_wait(&m->cond, &m->lock);
            b = m->busy;
        } else {
            b = b->next;
        }
    }
}

static void busy_begin(BlockMap *m, BlockMapBusy *b, uint64_t first, uint64_t n)
{
    *b = (BlockMapBusy){ first, first + n - 1, m->busy };
    m->busy = b;
}

static void busy_end(BlockMap *m, const BlockMapBusy *b)
{
    BlockMapBusy **p = &m->busy;

    while (*p != b) {
        p = &(*p)->next;
    }
    *p = b->next;
    g_cond_broadcast(&m->cond);
}

/* ---- Reading ---- */

static int read_extent(BlockMap *m, const Extent *x, uint64_t offset, IovCursor *c)
{
    BlockNode *file = m->node->file;

    if (x->kind == BM_DATA) {
        return file->driver->read(file, x->host, x->bytes, c); /* zeroes behind the end */
    }
    if (x->kind == BM_HOLE && m->has_backing) {
        return node_read_backing(m->node, offset, x->bytes, c);
    }
    iov_zero(c, x->bytes);
    return 0;
}

int blockmap_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    BlockMap *m = node->priv;
    Extent x;
    int err = 0;

    while (bytes && !err) {
        g_mutex_lock(&m->lock);
        err = extent_at(m, offset, bytes, false, &x);
        g_mutex_unlock(&m->lock);
        if (!err) {
            err = read_extent(m, &x, offset, c);
            offset += x.bytes;
            bytes -= x.bytes;
        }
    }
    return err;
}

int blockmap_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    BlockMap *m = node->priv;
    NodeStatus below;
    Extent x;
    int err;

    g_mutex_lock(&m->lock);
    err = extent_at(m, offset, bytes, false, &x);
    g_mutex_unlock(&m->lock);
    if (err) {
        return err;
    }
    status->bytes = x.bytes;
    status->flags = x.kind == BM_ZERO ? NODE_ZERO | NODE_ALLOCATED : m->has_backing ? 0 : NODE_ZERO;
    if (x.kind == BM_DATA) {
        status->flags = NODE_DATA | NODE_ALLOCATED | NODE_MAPPED;
        status->map = x.host;
        if (m->fully_mapped && !node_status(node->file, x.host, x.bytes, &below)) {
            status->flags = below.flags;
            status->bytes = below.bytes;
        }
    }
    return 0;
}

bool blockmap_direct(BlockNode *node, uint64_t offset, uint64_t bytes, bool write, int *fd,
                     uint64_t *fd_offset)
{
    BlockMap *m = node->priv;
    BlockNode *file = node->file;
    Extent x;
    bool ok;

    if (!file->driver->direct || (write && m->ops->written) || !g_mutex_trylock(&m->lock)) {
        return false;
    }
    ok = !m->busy && !extent_at(m, offset, bytes, true, &x) && x.kind == BM_DATA &&
         x.bytes == bytes && x.host + bytes <= m->end;
    g_mutex_unlock(&m->lock);
    return ok && x.host + bytes <= __atomic_load_n(&file->length, __ATOMIC_RELAXED) &&
           file->driver->direct(file, x.host, bytes, write, fd, fd_offset);
}

uint64_t blockmap_block_size(BlockNode *node)
{
    return ((BlockMap *)node->priv)->block_size;
}

/* ---- Writing ---- */

int blockmap_append(BlockMap *m, uint64_t bytes, uint64_t *offset)
{
    int err = bytes > NODE_MAX_LENGTH || m->end > NODE_MAX_LENGTH - bytes
                  ? -EFBIG
                  : node_write_zeroes(m->node->file, m->end, bytes, true);

    if (!err) {
        *offset = m->end;
        m->end += bytes;
    }
    return err;
}

/* Copies what is behind the image to new blocks, which are zero. */
static int copy_behind(BlockMap *m, uint64_t offset, uint64_t bytes, uint64_t host)
{
    uint64_t behind = m->node->backing ? m->node->backing->length : 0;
    g_autofree char *buf = NULL;
    int err = 0;

    bytes = offset < behind ? MIN(bytes, behind - offset) : 0;
    buf = bytes ? g_malloc(MIN(bytes, COPY)) : NULL;
    while (bytes && !err) {
        uint64_t n = MIN(bytes, COPY);

        err = node_pread(m->node->backing, offset, buf, n);
        err = err ? err : node_pwrite(m->node->file, host, buf, n);
        offset += n;
        host += n;
        bytes -= n;
    }
    return err;
}

/* New blocks at @host for the guest's from @from to @to, of which [@offset, @offset + @bytes) is written; @c: NULL for zeroes. */
static int fill_blocks(BlockMap *m, uint64_t offset, uint64_t bytes, uint64_t n, uint64_t host,
                       bool copy, IovCursor *c)
{
    uint64_t head = offset % m->block_size, done = head + bytes;
    int err = copy && head ? copy_behind(m, offset - head, head, host) : 0;

    if (!err && c) {
        err = node_write(m->node->file, host + head, bytes, c);
    }
    if (!err && copy && done < n * m->block_size) {
        err = copy_behind(m, offset + bytes, n * m->block_size - done, host + done);
    }
    return err;
}

/* Blocks for the first of *@bytes, which are all BM_HOLE or all BM_ZERO. */
static int write_new(BlockMap *m, uint64_t offset, uint64_t *bytes, const Extent *x, IovCursor *c)
{
    uint64_t size = m->block_size, in = offset % size, first = offset / size, host;
    uint64_t n = MIN((in + *bytes + size - 1) / size, MAX(1, MAX_STEP / size));
    int err = m->ops->allocate(m, &n, &host);
    BlockMapBusy busy;

    if (err) {
        return err;
    }
    *bytes = MIN(*bytes, n * size - in);
    busy_begin(m, &busy, first, n);
    g_mutex_unlock(&m->lock);
    err = fill_blocks(m, offset, *bytes, n, host, x->kind == BM_HOLE && m->has_backing, c);
    g_mutex_lock(&m->lock);
    if (err && m->ops->unallocate) {
        m->ops->unallocate(m, n, host);
    }
    for (uint64_t i = 0; i < n && !err; i++) {
        err = m->ops->link(m, first + i, BM_DATA, host + i * size);
    }
    busy_end(m, &busy);
    return err;
}

static int write_in_place(BlockMap *m, uint64_t offset, const Extent *x, IovCursor *c)
{
    int err;

    if (x->host + x->bytes > m->end) { /* mapped to where blocks will be allocated */
        return -EIO;
    }
    g_mutex_unlock(&m->lock);
    err = node_write(m->node->file, x->host, x->bytes, c);
    g_mutex_lock(&m->lock);
    return err || !m->ops->written ? err : m->ops->written(m, offset, x->host, x->bytes);
}

static int make_room(BlockNode *node)
{
    return blockmap_table_full(node->priv) ? blockmap_flush(node) : 0;
}

int blockmap_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    BlockMap *m = node->priv;
    int err = 0;

    while (bytes && !err) {
        uint64_t n = MIN(bytes, MAX_STEP);
        Extent x;

        err = make_room(node);
        if (err) {
            break;
        }
        g_mutex_lock(&m->lock);
        wait_until_idle(m, offset / m->block_size, (offset + n - 1) / m->block_size);
        err = extent_at(m, offset, n, false, &x);
        n = x.bytes;
        if (!err) {
            err = x.kind == BM_DATA ? write_in_place(m, offset, &x, c)
                                    : write_new(m, offset, &n, &x, c);
        }
        g_mutex_unlock(&m->lock);
        offset += n;
        bytes -= n;
    }
    return err;
}

/* ---- Zeroes ---- */

/* Whole blocks get an entry that says so; of others the rest is copied. *@bytes becomes what was done. */
static int zero_hole(BlockMap *m, uint64_t offset, uint64_t *bytes, const Extent *x)
{
    uint64_t size = m->block_size, in = offset % size, n;
    int err = 0;

    if (in || *bytes < size) {
        *bytes = MIN(*bytes, size - in);
        return write_new(m, offset, bytes, x, NULL);
    }
    n = MIN(*bytes / size, MAX_LOOKUPS);
    for (uint64_t i = 0; i < n && !err; i++) {
        err = m->ops->link(m, offset / size + i, BM_ZERO, 0);
    }
    *bytes = n * size;
    return err;
}

static int zero_data(BlockMap *m, uint64_t offset, const Extent *x, bool unmap)
{
    int err;

    if (x->host + x->bytes > m->end) {
        return -EIO;
    }
    g_mutex_unlock(&m->lock);
    err = node_write_zeroes(m->node->file, x->host, x->bytes, unmap);
    g_mutex_lock(&m->lock);
    return err || !m->ops->written ? err : m->ops->written(m, offset, x->host, x->bytes);
}

int blockmap_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    BlockMap *m = node->priv;
    int err = 0;

    while (bytes && !err) {
        uint64_t last = (offset + bytes - 1) / m->block_size, n = bytes;
        Extent x;

        err = make_room(node);
        if (err) {
            break;
        }
        g_mutex_lock(&m->lock);
        wait_until_idle(m, offset / m->block_size, last);
        err = extent_at(m, offset, bytes, false, &x);
        n = x.bytes;
        if (!err && x.kind == BM_DATA) {
            err = zero_data(m, offset, &x, unmap);
        } else if (!err && x.kind == BM_HOLE && m->has_backing) {
            err = zero_hole(m, offset, &n, &x);
        }
        g_mutex_unlock(&m->lock);
        offset += n;
        bytes -= n;
    }
    return err;
}

/* Only the file's space is given back: entries stay, as no format here can use a block's place for another. */
int blockmap_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    BlockMap *m = node->priv;
    int err = 0;

    while (bytes && !err) {
        Extent x;
        bool there;

        g_mutex_lock(&m->lock);
        err = extent_at(m, offset, bytes, false, &x);
        there = !err && x.kind == BM_DATA && x.host + x.bytes <= m->end &&
                x.host + x.bytes <= __atomic_load_n(&node->file->length, __ATOMIC_RELAXED);
        g_mutex_unlock(&m->lock);
        if (there) {
            err = node_discard(node->file, x.host, x.bytes);
        }
        offset += err ? 0 : x.bytes;
        bytes -= err ? 0 : x.bytes;
    }
    return err;
}

int blockmap_flush(BlockNode *node)
{
    BlockMap *m = node->priv;
    int err;

    g_mutex_lock(&m->flush_lock);
    err = blockmap_table_flush(m);
    g_mutex_unlock(&m->flush_lock);
    return err;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK: the compressed grains of a "streamOptimized" extent. Before a grain are its sector and its length, unless the header says otherwise;
 * it is a deflate stream with zlib's header. Grains are appended, and never written again.
 */
#include <errno.h>
#include <string.h>
#include <zlib.h>
#include "block/formats/vmdk.h"

#define MAX_HOST ((uint64_t)UINT32_MAX * BLOCK_SECTOR)

static int find_grain(VmdkExtent *e, uint64_t index, BlockMapKind *kind, uint64_t *host,
                      uint64_t *n)
{
    BlockMap *m = &vmdk_sparse(e)->map;
    int err;

    *n = 1;
    g_mutex_lock(&m->lock);
    err = m->ops->lookup(m, index, false, kind, host, n);
    g_mutex_unlock(&m->lock);
    return err;
}

/* ---- Reading ---- */

/* What is behind the stream's end stays zero. */
static bool unpack(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
    z_stream z = { .next_in = (uint8_t *)in,
                   .avail_in = (uInt)in_bytes,
                   .next_out = out,
                   .avail_out = (uInt)out_bytes };
    int result;

    if (inflateInit(&z) != Z_OK) {
        return false;
    }
    result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return result == Z_STREAM_END || (result == Z_BUF_ERROR && !z.avail_out);
}

/* The bytes of the compressed grain at *@host, which moves on to its first one. -EIO: damaged. */
static int packed_length(const VmdkSparse *x, BlockNode *file, uint64_t *host, size_t *bytes)
{
    uint64_t left = file->length - MIN(*host, file->length), max = 2 * x->map.block_size;
    uint8_t marker[VMDK_MARKER];
    int err;

    if (!x->markers) {
        *bytes = (size_t)MIN(left, max);
        return *bytes ? 0 : -EIO;
    }
    err = left < VMDK_MARKER ? -EIO : node_pread(file, *host, marker, VMDK_MARKER);
    if (err) {
        return err;
    }
    *bytes = bytes_get_le32(marker + 8);
    *host += VMDK_MARKER;
    return *bytes && *bytes <= max && *bytes <= left - VMDK_MARKER ? 0 : -EIO;
}

static int read_packed(VmdkExtent *e, uint64_t host, uint8_t *grain)
{
    const VmdkSparse *x = vmdk_sparse(e);
    g_autofree uint8_t *packed = NULL;
    size_t bytes;
    int err = packed_length(x, e->file, &host, &bytes);

    if (err) {
        return err;
    }
    packed = g_try_malloc(bytes);
    err = packed ? node_pread(e->file, host, packed, bytes) : -ENOMEM;
    return err || unpack(packed, bytes, grain, x->map.block_size) ? err : -EIO;
}

/* The last grain that was unpacked is kept: many readers want it in pieces. */
static int read_grain(VmdkExtent *e, uint64_t host, uint64_t in, uint64_t bytes, IovCursor *c)
{
    VmdkSparse *x = vmdk_sparse(e);
    uint8_t *grain;
    int err;

    g_mutex_lock(&x->unpacked_lock);
    if (x->unpacked_at == host) {
        iov_copy_in(c, x->unpacked + in, bytes);
        g_mutex_unlock(&x->unpacked_lock);
        return 0;
    }
    g_mutex_unlock(&x->unpacked_lock);
    grain = g_try_malloc0(x->map.block_size);
    err = grain ? read_packed(e, host, grain) : -ENOMEM;
    if (err) {
        g_free(grain);
        return err;
    }
    iov_copy_in(c, grain + in, bytes);
    g_mutex_lock(&x->unpacked_lock);
    g_free(x->unpacked);
    x->unpacked = grain;
    x->unpacked_at = host;
    g_mutex_unlock(&x->unpacked_lock);
    return 0;
}

int vmdk_stream_read(VmdkExtent *e, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    const VmdkSparse *x = vmdk_sparse(e);
    uint64_t size = x->map.block_size;
    int err = 0;

    while (bytes && !err) {
        uint64_t in = offset % size, part = MIN(bytes, size - in), host, n;
        BlockMapKind kind;

        err = find_grain(e, offset / size, &kind, &host, &n);
        if (!err && kind == BM_DATA) {
            err = read_grain(e, host, in, part, c);
        } else if (!err && kind == BM_HOLE && x->map.has_backing) {
            err = node_read_backing(e->node, offset, part, c);
        } else if (!err) {
            iov_zero(c, part);
        }
        offset += part;
        bytes -= part;
    }
    return err;
}

int vmdk_stream_status(VmdkExtent *e, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    const VmdkSparse *x = vmdk_sparse(e);
    uint64_t size = x->map.block_size, host, n;
    BlockMapKind kind;
    int err = find_grain(e, offset / size, &kind, &host, &n);

    if (err) {
        return err;
    }
    status->bytes = n > bytes / size + 1 ? bytes : MIN(bytes, n * size - offset % size);
    status->flags = kind == BM_DATA   ? NODE_DATA | NODE_ALLOCATED | NODE_COMPRESSED
                    : kind == BM_ZERO ? NODE_ZERO | NODE_ALLOCATED
                                      : (x->map.has_backing ? 0 : NODE_ZERO);
    return 0;
}

/* ---- Writing ---- */

/* A place at the end of the file for grain @index, of @bytes. */
static int reserve(VmdkExtent *e, uint64_t index, uint64_t bytes, uint64_t *host)
{
    BlockMap *m = &vmdk_sparse(e)->map;
    BlockMapKind kind;
    uint64_t n = 1;
    int err;

    g_mutex_lock(&m->lock);
    err = m->ops->lookup(m, index, false, &kind, host, &n);
    if (!err && kind == BM_DATA) {
        err = -EIO;
    } else if (!err && m->end > MAX_HOST - bytes) {
        err = -EFBIG;
    } else if (!err) {
        *host = m->end;
        m->end += bytes;
    }
    g_mutex_unlock(&m->lock);
    return err;
}

static int write_grain(VmdkExtent *e, uint64_t index, const uint8_t *grain)
{
    VmdkSparse *x = vmdk_sparse(e);
    BlockMap *m = &x->map;
    unsigned head = x->markers ? VMDK_MARKER : 0;
    uLongf packed = compressBound((uLong)m->block_size);
    g_autofree uint8_t *buf = g_try_malloc0(bm_round_up(head + packed, BLOCK_SECTOR));
    uint64_t bytes, host;
    int err;

    if (!buf || compress(buf + head, &packed, grain, (uLong)m->block_size) != Z_OK) {
        return -ENOMEM;
    }
    if (head) {
        bytes_put_le64(buf, index * (m->block_size / BLOCK_SECTOR));
        bytes_put_le32(buf + 8, (uint32_t)packed);
    }
    bytes = bm_round_up(head + packed, BLOCK_SECTOR);
    err = blockmap_table_full(m) ? blockmap_flush(e->node) : 0;
    err = err ? err : reserve(e, index, bytes, &host);
    err = err ? err : node_pwrite(e->file, host, buf, bytes);
    if (!err) {
        g_mutex_lock(&m->lock);
        err = m->ops->link(m, index, BM_DATA, host);
        g_mutex_unlock(&m->lock);
    }
    return err;
}

int vmdk_stream_write(VmdkExtent *e, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    uint64_t size = vmdk_sparse(e)->map.block_size;
    g_autofree uint8_t *grain = NULL;
    int err = 0;

    if (offset % size || (bytes % size && offset + bytes != e->length)) {
        return -EINVAL;
    }
    grain = g_try_malloc0(size);
    while (bytes && !err) {
        uint64_t part = MIN(bytes, size);

        if (!grain) {
            return -ENOMEM;
        }
        if (part < size) {
            memset(grain + part, 0, size - part);
        }
        iov_copy_out(c, grain, part);
        err = write_grain(e, offset / size, grain);
        offset += part;
        bytes -= part;
    }
    return err;
}

/* Only where there are no zeroes yet. */
int vmdk_stream_write_zeroes(VmdkExtent *e, uint64_t offset, uint64_t bytes)
{
    const VmdkSparse *x = vmdk_sparse(e);
    uint64_t size = x->map.block_size;
    g_autofree uint8_t *zeroes = g_try_malloc0(size);
    int err = zeroes ? 0 : -ENOMEM;

    while (bytes && !err) {
        uint64_t part = MIN(bytes, size - offset % size), host, n;
        struct iovec iov = { zeroes, part };
        IovCursor c = { &iov, 1, 0 };
        BlockMapKind kind;

        err = find_grain(e, offset / size, &kind, &host, &n);
        if (!err && (kind == BM_DATA || (kind == BM_HOLE && x->map.has_backing))) {
            err = vmdk_stream_write(e, offset, part, &c);
        }
        offset += part;
        bytes -= part;
    }
    return err;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking a block map's entries, and mending them.
 */
#include <errno.h>
#include <inttypes.h>
#include "block/formats/blockmap.h"

enum { COPY = 1 << 20 };

bool blockmap_use_init(BlockMapUse *use, uint64_t base, uint64_t unit, uint64_t n)
{
    *use = (BlockMapUse){ .base = base, .unit = unit, .n = n, .bits = g_try_malloc0(n / 8 + 1) };
    return use->bits != NULL;
}

void blockmap_use_clear(BlockMapUse *use)
{
    g_clear_pointer(&use->bits, g_free);
}

bool blockmap_use_test(const BlockMapUse *use, uint64_t place)
{
    return place < use->n && (use->bits[place / 8] >> place % 8 & 1);
}

bool blockmap_use_take(BlockMapUse *use, uint64_t host, uint64_t bytes)
{
    uint64_t first = (host - use->base) / use->unit;
    uint64_t end = (host - use->base + bytes + use->unit - 1) / use->unit;
    bool free = true;

    for (uint64_t i = first; i < MIN(end, use->n); i++) {
        bool taken = blockmap_use_test(use, i);

        free &= !taken;
        use->taken += !taken;
        use->bits[i / 8] |= (uint8_t)(1u << i % 8);
    }
    use->top = MAX(use->top, MIN(end, use->n));
    return free;
}

void blockmap_use_drop(BlockMapUse *use, uint64_t place)
{
    use->bits[place / 8] &= (uint8_t) ~(1u << place % 8);
    use->taken--;
    use->free = MIN(use->free, place);
    while (use->top && !blockmap_use_test(use, use->top - 1)) {
        use->top--;
    }
}

uint64_t blockmap_use_find(BlockMapUse *use)
{
    while (use->free < use->n && blockmap_use_test(use, use->free)) {
        use->free++;
    }
    return use->free;
}

int blockmap_copy(BlockMap *m, uint64_t from, uint64_t to)
{
    BlockNode *file = m->node->file;
    g_autofree char *buf = g_malloc(COPY);
    int err = 0;

    for (uint64_t done = 0; done < m->block_size && !err; done += COPY) {
        struct iovec iov = { buf, MIN(COPY, m->block_size - done) };
        IovCursor c = { &iov, 1, 0 };

        err = file->driver->read(file, from + done, iov.iov_len, &c);
        err = err ? err : node_pwrite(file, to + done, buf, iov.iov_len);
    }
    return err;
}

/* What is there of block @index is another's, too: it gets a copy. */
static int part(BlockMap *m, BlockMapUse *use, uint64_t index, uint64_t host)
{
    uint64_t n = 1, to;
    int err = m->ops->allocate(m, &n, &to);

    err = err ? err : blockmap_copy(m, host, to);
    err = err ? err : m->ops->link(m, index, BM_DATA, to);
    if (!err) {
        blockmap_use_take(use, to, m->block_size);
    }
    return err;
}

/* A finding, after mending it returned @err (1: that was not asked for). */
static void count(NodeCheck *check, int err)
{
    check->corruptions += err != 0;
    check->corruptions_fixed += err == 0;
    check->check_errors += err < 0;
}

static void check_block(BlockMap *m, BlockMapUse *use, uint64_t index, uint64_t *n,
                        uint64_t *expected, NodeCheck *check)
{
    const char *verb = check->fix_errors ? "Repairing" : "ERROR";
    BlockMapKind kind;
    uint64_t host;
    int err = m->ops->lookup(m, index, false, &kind, &host, n);

    if (err == -EIO) {
        node_check_note(check, "%s: block %" PRIu64 " lies outside the image\n", verb, index);
        *n = 1;
        count(check, check->fix_errors ? m->ops->link(m, index, BM_HOLE, 0) : 1);
    } else if (err) {
        *n = 1;
        check->check_errors++;
    } else if (kind == BM_DATA) {
        check->allocated_clusters++;
        check->fragmented_clusters += *expected && host != *expected;
        *expected = host + m->block_size;
        if (!blockmap_use_take(use, host, m->block_size)) {
            node_check_note(check,
                            "%s: block %" PRIu64 " lies at %#" PRIx64 ", which is in use already\n",
                            verb, index, host);
            count(check, check->fix_errors ? part(m, use, index, host) : 1);
        }
    }
}

bool blockmap_check(BlockMap *m, BlockMapUse *use, uint64_t n, NodeCheck *check, GError **error)
{
    uint64_t expected = 0, alike;
    int err = 0;

    for (uint64_t i = 0; i < n && !err; i += alike) {
        err = blockmap_table_full(m) ? blockmap_flush(m->node) : 0;
        g_mutex_lock(&m->lock);
        alike = 1;
        check_block(m, use, i, &alike, &expected, check);
        g_mutex_unlock(&m->lock);
    }
    return !err || node_fail_errno(m->node, error, err, "cannot be mended");
}

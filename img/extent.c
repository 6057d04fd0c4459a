/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a chain of images has where, seen from the top; and runs of zeroes in buffers.
 */
#include <string.h>
#include "img/img-priv.h"

int img_extent(BlockNode *top, const BlockNode *base, uint64_t offset, uint64_t bytes,
               ImgExtent *extent)
{
    NodeStatus status;

    *extent = (ImgExtent){ .bytes = bytes, .flags = NODE_ZERO, .node = top };
    for (;;) {
        BlockNode *below = extent->node->backing;
        int err = node_status(extent->node, offset, extent->bytes, &status);

        if (err) {
            return err;
        }
        extent->bytes = status.bytes;
        if (status.flags & NODE_ALLOCATED) {
            extent->flags = status.flags;
            extent->map = status.map;
            extent->file = status.file;
            return 0;
        }
        if (!below || offset >= below->length) {
            return 0;
        }
        extent->bytes = MIN(extent->bytes, below->length - offset);
        if (below == base) {
            extent->flags = 0;
            return 0;
        }
        extent->node = below;
        extent->depth++;
    }
}

static bool is_zero(const char *buf, uint64_t bytes)
{
    const char *end = buf + bytes;
    uint64_t words[8];

    for (; end - buf >= (long)sizeof(words); buf += sizeof(words)) {
        memcpy(words, buf, sizeof(words));
        if (words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7]) {
            return false;
        }
    }
    while (buf < end && !*buf) {
        buf++;
    }
    return buf == end;
}

bool img_zero_run(const char *buf, uint64_t bytes, uint64_t step, uint64_t *run)
{
    bool zero = is_zero(buf, MIN(step, bytes));
    uint64_t n = MIN(step, bytes);

    while (n < bytes && is_zero(buf + n, MIN(step, bytes - n)) == zero) {
        n += MIN(step, bytes - n);
    }
    *run = n;
    return zero;
}

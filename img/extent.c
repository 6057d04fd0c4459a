/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a chain of images has where, seen from the top; and runs of zeroes in buffers.
 */
#include <string.h>
#include "img/img-priv.h"
#include "util/bytes.h"

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

bool img_zero_run(const char *buf, uint64_t bytes, uint64_t step, uint64_t *run)
{
    bool zero = bytes_are_zero(buf, MIN(step, bytes));
    uint64_t n = MIN(step, bytes);

    while (n < bytes && bytes_are_zero(buf + n, MIN(step, bytes - n)) == zero) {
        n += MIN(step, bytes - n);
    }
    *run = n;
    return zero;
}

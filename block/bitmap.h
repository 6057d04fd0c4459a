/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps that an image keeps of itself (qcow2's "Bitmaps extension"): each bit is of a range of the disk (the granularity), and set once that was
 * written while the bitmap was enabled. BlockDriver.bitmaps has these functions where a format has bitmaps.
 *
 * Changes are in memory until the node is closed, or changes its size, and are then in the file all or not at all. Any thread. Errors say what
 * is wrong without the file's name, in the words that qemu-img has for it.
 */
#ifndef BLOCK_BITMAP_H
#define BLOCK_BITMAP_H

#include "block/node.h"

/* What is said of an inconsistent one; takes its name. */
#define BITMAP_INCONSISTENT                                                                    \
    "Bitmap '%s' is inconsistent and cannot be used\nTry block-dirty-bitmap-remove to delete " \
    "this bitmap from disk"

typedef struct NodeBitmap {
    char *name;
    uint64_t granularity; /* bytes */
    bool enabled;         /* records writes */
    bool
        inconsistent; /* it can only be removed: not all that was written is in it, or it is not understood */
} NodeBitmap;

struct BitmapDriver {
    /* Of NodeBitmap, in the file's order; g_ptr_array_unref() it. */
    GPtrArray *(*list)(BlockNode *node);
    /* A clean one, enabled. @granularity: a power of 2, or 0: what the image's clusters suggest. */
    bool (*add)(BlockNode *node, const char *name, uint64_t granularity, GError **error);
    bool (*remove)(BlockNode *node, const char *name, GError **error);
    bool (*enable)(BlockNode *node, const char *name, bool enabled, GError **error);
    /* Makes all bits that [@offset, @offset + @bytes), within the length, touches @dirty. */
    bool (*set)(BlockNode *node, const char *name, uint64_t offset, uint64_t bytes, bool dirty,
                GError **error);
    /* Whether @offset is dirty, which all of *@run bytes from there on are alike in, of @bytes at most. 0 or -errno. */
    int (*status)(BlockNode *node, const char *name, uint64_t offset, uint64_t bytes, bool *dirty,
                  uint64_t *run);
};

/* NULL, and @error is set: there is no such bitmap, or it is inconsistent. Else its granularity and the like; node_bitmap_free() it. */
NodeBitmap *node_bitmap_find(BlockNode *node, const char *name, GError **error);
void node_bitmap_free(gpointer bitmap);
/* What is dirty in bitmap @from_name of @from becomes so in @to's bitmap @name. */
bool node_bitmap_merge(BlockNode *to, const char *name, BlockNode *from, const char *from_name,
                       GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(NodeBitmap, node_bitmap_free)

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be done with bitmaps of any format: finding one, and taking over another's bits.
 */
#include "block/bitmap.h"
#include <string.h>

void node_bitmap_free(gpointer bitmap)
{
    NodeBitmap *b = bitmap;

    g_free(b->name);
    g_free(b);
}

NodeBitmap *node_bitmap_find(BlockNode *node, const char *name, GError **error)
{
    const BitmapDriver *driver = node->driver->bitmaps;
    g_autoptr(GPtrArray) list = driver ? driver->list(node) : g_ptr_array_new();
    NodeBitmap *found = NULL;

    for (guint i = 0; i < list->len && !found; i++) {
        const NodeBitmap *b = g_ptr_array_index(list, i);

        if (!strcmp(b->name, name)) {
            found = g_memdup2(b, sizeof(*b));
            found->name = g_strdup(name);
        }
    }
    if (!found) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "Dirty bitmap '%s' not found",
                    name);
    } else if (found->inconsistent) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, BITMAP_INCONSISTENT, name);
        g_clear_pointer(&found, node_bitmap_free);
    }
    return found;
}

bool node_bitmap_merge(BlockNode *to, const char *name, BlockNode *from, const char *from_name,
                       GError **error)
{
    g_autoptr(NodeBitmap) source = node_bitmap_find(from, from_name, error);
    g_autoptr(NodeBitmap) target = source ? node_bitmap_find(to, name, error) : NULL;
    uint64_t run;

    if (!target) {
        return false;
    }
    if (from->length != to->length) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Bitmaps are of different sizes (destination size is %" G_GUINT64_FORMAT
                    ", source size is %" G_GUINT64_FORMAT ") and can't be merged",
                    to->length, from->length);
        return false;
    }
    for (uint64_t at = 0; at < from->length; at += run) {
        bool dirty;
        int err =
            from->driver->bitmaps->status(from, from_name, at, from->length - at, &dirty, &run);

        if (err) {
            return node_fail_errno(from, error, err, "bitmap '%s' cannot be read", from_name);
        }
        if (dirty && !to->driver->bitmaps->set(to, name, at, run, true, error)) {
            return false;
        }
    }
    return true;
}

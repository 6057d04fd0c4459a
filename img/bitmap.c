/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command bitmap, and what others do with bitmaps that images keep of what was written (block/bitmap.h): convert --bitmaps, measure.
 */
#include "block/bitmap.h"
#include <string.h>
#include "img/img-priv.h"

static bool is_action(const char *key)
{
    static const char *const actions[] = { "add",     "remove", "clear", "enable",
                                           "disable", "merge",  NULL };

    return g_strv_contains(actions, key);
}

/* ---- The command ---- */

static bool carry_out(const char *action, const char *value, BlockNode *node, BlockNode *source,
                      const char *name, uint64_t granularity, GError **error)
{
    const BitmapDriver *driver = node->driver->bitmaps;

    if (!driver && !strcmp(action, "add")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Can't store persistent bitmaps to %s: Operation not supported", node->name);
        return false;
    }
    if (!driver || !strcmp(action, "merge")) { /* without a driver there is none */
        return node_bitmap_merge(node, name, source ? source : node, driver ? value : name, error);
    }
    if (!strcmp(action, "add")) {
        return driver->add(node, name, granularity, error);
    }
    if (!strcmp(action, "remove")) {
        return driver->remove(node, name, error);
    }
    return !strcmp(action, "clear") ? driver->set(node, name, 0, node->length, false, error)
                                    : driver->enable(node, name, !strcmp(action, "enable"), error);
}

/* All actions in their order; what was done before one that fails stays. */
static bool carry_out_all(const ImgArgs *args, BlockNode *node, BlockNode *source,
                          uint64_t granularity)
{
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < args->keys->len; i++) {
        const char *action = g_ptr_array_index(args->keys, i);

        if (is_action(action) && !carry_out(action, g_ptr_array_index(args->values, i), node,
                                            source, args->files[1], granularity, &error)) {
            img_error("Operation %s on bitmap %s failed: %s", action, args->files[1],
                      img_error_text(error, node->name));
            return false;
        }
    }
    return true;
}

static bool check_arguments(const ImgArgs *args, uint64_t *granularity)
{
    const char *text = img_get(args, "g");
    bool any = false;

    if (text && !img_parse_size(text, "granularity", granularity)) {
        return false;
    }
    for (guint i = 0; i < args->keys->len; i++) {
        any |= is_action(g_ptr_array_index(args->keys, i));
    }
    if (!any) {
        img_error("Need at least one of --add, --remove, --clear, --enable, --disable, or --merge");
    } else if (args->n_files != 2) {
        img_error("Expecting filename and bitmap name");
    } else if (img_has(args, "F") && !img_has(args, "b")) {
        img_error("-F only supported with -b");
    } else if (img_has(args, "b") && !img_has(args, "merge")) {
        img_error("Merge bitmap source file only supported with --merge");
    } else if (text && !img_has(args, "add")) {
        img_error("granularity only supported with --add");
    } else if (text && !*granularity) {
        img_error("Invalid granularity specified: it must be a power of 2 and at least 512");
    } else {
        return true;
    }
    return false;
}

int img_bitmap(const ImgArgs *args)
{
    BlockNode *node, *source = NULL;
    uint64_t granularity = 0;
    bool ok;

    if (!check_arguments(args, &granularity)) {
        return 1;
    }
    node = img_open(args, args->files[0], img_get(args, "f"), IMG_WRITE | IMG_NO_BACKING);
    if (node && img_has(args, "b")) {
        source =
            img_open(args, img_get(args, "b"), img_get(args, "F"), IMG_ONLY_FILE | IMG_NO_BACKING);
    }
    ok = node && (source || !img_has(args, "b")) && carry_out_all(args, node, source, granularity);
    node_close(source);
    return (node && img_close(node)) || !ok;
}

/* ---- For convert and measure ---- */

bool img_bitmaps_check(BlockNode *source, bool skip_broken)
{
    g_autoptr(GPtrArray) list = NULL;

    if (!source->driver->bitmaps) {
        img_error("Source lacks bitmap support");
        return false;
    }
    list = source->driver->bitmaps->list(source);
    for (guint i = 0; i < list->len && !skip_broken; i++) {
        const NodeBitmap *b = g_ptr_array_index(list, i);

        if (b->inconsistent) {
            img_error("Cannot copy inconsistent bitmap '%s'\nTry --skip-broken-bitmaps, or use "
                      "'%s bitmap --remove' to delete it",
                      b->name, img_program());
            return false;
        }
    }
    return true;
}

bool img_bitmaps_copy(BlockNode *to, BlockNode *source)
{
    g_autoptr(GPtrArray) list = source->driver->bitmaps->list(source);
    g_autoptr(GError) error = NULL;

    if (!to->driver->bitmaps) {
        img_error("Format driver '%s' does not support bitmaps", to->driver->name);
        return false;
    }
    for (guint i = 0; i < list->len; i++) {
        const NodeBitmap *b = g_ptr_array_index(list, i);

        if (b->inconsistent) {
            img_error("warning: Skipping inconsistent bitmap '%s'", b->name);
        } else if (!to->driver->bitmaps->add(to, b->name, b->granularity, &error)) {
            img_error("Failed to create bitmap %s: %s", b->name, error->message);
            return false;
        } else if (!node_bitmap_merge(to, b->name, source, b->name, &error) ||
                   (!b->enabled && !to->driver->bitmaps->enable(to, b->name, false, &error))) {
            img_error("Failed to populate bitmap %s: %s", b->name,
                      img_error_text(error, source->name));
            return false;
        }
    }
    return true;
}

uint64_t img_bitmaps_size(BlockNode *source, uint64_t length, uint64_t cluster)
{
    g_autoptr(GPtrArray) list = source->driver->bitmaps->list(source);
    uint64_t directory = 0, sum = 0;

    for (guint i = 0; i < list->len; i++) {
        const NodeBitmap *b = g_ptr_array_index(list, i);
        uint64_t bits = length / b->granularity + (length % b->granularity != 0);
        uint64_t clusters = (bits / 8 + (bits % 8 != 0) + cluster - 1) / cluster;

        if (!b->inconsistent) {
            sum += (clusters + (clusters * 8 + cluster - 1) / cluster) * cluster;
            directory += (24 + strlen(b->name) + 7) / 8 * 8;
        }
    }
    return sum + (directory + cluster - 1) / cluster * cluster;
}

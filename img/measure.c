/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command measure: how large a file a new image would be, at once (required) and when all of it was written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"

enum { QCOW2_CLUSTER = 65536, QCOW2_MIN_CLUSTER = 512, QCOW2_MAX_CLUSTER = 2 << 20 };

typedef struct Measure {
    uint64_t length, required, full, bitmaps;
    bool with_bitmaps;
    BlockNode *source; /* NULL: an empty image of .length */
} Measure;

static uint64_t divide_up(uint64_t n, uint64_t by)
{
    return n / by + (n % by != 0);
}

/* Bytes of clusters in which @node has data. False: it was said. */
static bool data_clusters(BlockNode *node, uint64_t cluster, uint64_t *bytes)
{
    uint64_t counted = 0; /* up to here */
    ImgExtent e;

    *bytes = 0;
    for (uint64_t at = 0; at < node->length; at += e.bytes) {
        int err = img_extent(node, NULL, at, node->length - at, &e);
        uint64_t begin, end;

        if (err) {
            img_error("%s: error while reading block status: %s", node->name, img_strerror(err));
            return false;
        }
        if (e.flags & NODE_ZERO) {
            continue;
        }
        begin = MAX(counted, at - at % cluster);
        end = divide_up(at + e.bytes, cluster) * cluster;
        *bytes += end > begin ? end - begin : 0;
        counted = end;
    }
    return true;
}

/* Header, L1 and L2 tables, and refcounts for them, for themselves and for all data. */
static uint64_t qcow2_metadata(uint64_t length, uint64_t cluster, uint64_t bits, uint64_t entry)
{
    uint64_t data = divide_up(length, cluster);
    uint64_t l2 = divide_up(data, cluster / entry), l1 = divide_up(l2, cluster / 8);
    uint64_t tables = 1 + MAX(l1, 1) + l2, blocks = 0, refs = 0, needed;

    for (;;) {
        needed = divide_up(data + tables + blocks + refs, cluster * 8 / bits);
        if (needed == blocks && refs) {
            return (tables + blocks + refs) * cluster;
        }
        blocks = needed;
        refs = divide_up(blocks, cluster / 8);
    }
}

static bool measure_qcow2(Measure *m, const KeyVals *options)
{
    uint64_t cluster = QCOW2_CLUSTER, bits = 16, data = 0, metadata;
    bool extended = false;
    const char *text = keyvals_get(options, "cluster_size");
    const char *prealloc = keyvals_get(options, "preallocation");
    g_autoptr(GError) error = NULL;

    if (text && !img_parse_size(text, "cluster size", &cluster)) {
        return false;
    }
    if (cluster < QCOW2_MIN_CLUSTER || cluster > QCOW2_MAX_CLUSTER || cluster & (cluster - 1)) {
        img_error("Cluster size must be a power of two between 512 and 2048k");
        return false;
    }
    if (!keyvals_get_bool(options, "qcow2", "extended_l2", &extended, &error) ||
        !keyvals_get_uint(options, "qcow2", "refcount_bits", 1, 64, &bits, &error)) {
        img_error("%s", error->message);
        return false;
    }
    if (bits & (bits - 1)) {
        img_error("Refcount width must be a power of two and may not exceed 64 bits");
        return false;
    }
    if (m->source && !data_clusters(m->source, cluster, &data)) {
        return false;
    }
    metadata = qcow2_metadata(m->length, cluster, bits, extended ? 16 : 8);
    m->full = metadata + divide_up(m->length, cluster) * cluster;
    m->required = prealloc && (!strcmp(prealloc, "falloc") || !strcmp(prealloc, "full"))
                      ? m->full
                      : metadata + data;
    text = keyvals_get(options, "compat");
    m->with_bitmaps =
        m->source && m->source->driver->bitmaps && g_strcmp0(text, "0.10") && g_strcmp0(text, "v2");
    m->bitmaps = m->with_bitmaps ? img_bitmaps_size(m->source, m->length, cluster) : 0;
    return true;
}

static bool measure(Measure *m, const BlockDriver *driver, const KeyVals *options)
{
    if (!strcmp(driver->name, "qcow2")) {
        return measure_qcow2(m, options);
    }
    if (strcmp(driver->name, "raw")) {
        img_error("Block driver '%s' does not support size measurement", driver->name);
        return false;
    }
    m->required = m->full = divide_up(m->length, BLOCK_SECTOR) * BLOCK_SECTOR;
    return true;
}

static void print_measure(const ImgArgs *args, const Measure *m)
{
    ImgJson json;

    if (!img_wants_json(args)) {
        printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n", m->required,
               m->full);
        if (m->with_bitmaps) {
            printf("bitmaps size: %" PRIu64 "\n", m->bitmaps);
        }
        return;
    }
    json_begin(&json);
    json_open(&json, NULL, '{');
    if (m->with_bitmaps) {
        json_number(&json, "bitmaps", m->bitmaps);
    }
    json_number(&json, "required", m->required);
    json_number(&json, "fully-allocated", m->full);
    json_close(&json, '}');
    json_end(&json);
}

/* The size in question, from --size or the source. */
static bool find_length(const ImgArgs *args, Measure *m)
{
    if (img_has(args, "size")) {
        return img_parse_size(img_get(args, "size"), "image size", &m->length);
    }
    m->source = img_open(args, args->files[0], img_get(args, "f"), 0);
    if (!m->source || !img_load_snapshot(args, m->source)) {
        return false;
    }
    m->length = m->source->length;
    return true;
}

int img_measure(const ImgArgs *args)
{
    const char *format = img_get(args, "O") ?: "raw";
    const BlockDriver *driver = block_driver_find(format);
    g_autofree char *given = img_options_given(args);
    g_autoptr(KeyVals) options = NULL;
    Measure m = {};
    bool ok;

    if (args->n_files > 1) {
        return img_error("At most one filename argument is allowed.");
    }
    if (img_has(args, "size") == (args->n_files == 1)) {
        return img_error(args->n_files ? "--size N cannot be used together with a filename."
                                       : "Either --size N or one filename must be specified.");
    }
    if (!driver) {
        g_autofree char *text = img_unknown_format("file format", format);

        return img_error("%s", text);
    }
    if (img_options_help(given)) {
        return img_print_create_options(driver, args->n_files > 0);
    }
    options = img_options_parse(driver, given ?: "", "");
    if (!options) {
        return img_error("Invalid options for file format '%s'", format);
    }
    ok = find_length(args, &m) && measure(&m, driver, options);
    node_close(m.source);
    if (ok) {
        print_measure(args, &m);
    }
    return !ok;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes the image formats (fuzz.h): a hostile image is opened, read, written, checked, mended, resized, amended, its snapshots used.
 * Anything may fail; nothing may crash, take long, or ask for more memory than the file is worth (the sanitizer's limit, see fuzz.py).
 */
#include "tests/fuzz/fuzz.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/bitmap.h"
#include "block/formats/formats.h"
#include "block/formats/vhdx.h"
#include "block/node.h"
#include "block/options.h"

enum { MAX_BYTES = 256 << 10 };
/* Writing may make the file as long as the image says. What takes time in proportion to that is left out then. */
#define MAX_FILE (16ull << 20)
enum { MAX_FIX = 8 << 20, MAX_CLUSTERS = 1 << 13 };

static char *folder, *image;
static uint8_t *buffer;

/* ---- Bases ---- */

static void set_up(void)
{
    folder = g_dir_make_tmp("menura-fuzz-XXXXXX", NULL);
    g_assert(folder);
    image = g_build_filename(folder, "image", NULL);
    buffer = g_malloc0(MAX_BYTES);
}

static void keep_base(GPtrArray *bases)
{
    char *data;
    gsize len;

    g_assert(g_file_get_contents(image, &data, &len, NULL));
    g_ptr_array_add(bases, g_byte_array_new_take((guint8 *)data, len));
}

/* An image made with @options, as it is in use (with marks of that, and logs) and afterwards. */
static void add_bases(GPtrArray *bases, const BlockDriver *driver, const char *options,
                      bool with_bitmaps)
{
    g_autoptr(KeyVals) kv = keyvals_parse(options, NULL);
    const NodeSnapshot snapshot = { .name = (char *)"one", .icount = UINT64_MAX };
    NodeOptions open = { .file = image, .format = driver->name };
    g_autoptr(GError) error = NULL;
    BlockNode *node = node_create(driver, image, kv, &error) ? node_open(&open, &error) : NULL;

    if (!node) {
        g_error("%s", error->message);
    }
    memset(buffer, 0x5a, MAX_BYTES);
    node_pwrite(node, 0, buffer, MIN(node->length, 70000) / 512 * 512);
    if (with_bitmaps) {
        driver->bitmaps->add(node, "one", 512, NULL);
        driver->bitmaps->add(node, "three", 4096, NULL);
        driver->bitmaps->enable(node, "three", false, NULL);
        node_close(node); /* they are in the file then */
        node = node_open(&open, &error);
    }
    if (driver->snapshot_create) {
        driver->snapshot_create(node, &snapshot, NULL);
    }
    node_pwrite(node, node->length / 2 / 512 * 512, buffer, 1024);
    keep_base(bases);
    node_close(node);
    keep_base(bases);
}

/* @target->data: options of "create", one text for each image. The last one gets bitmaps, if the format has such. */
static GPtrArray *make_bases(const FuzzTarget *target)
{
    const BlockDriver *driver = block_driver_find(target->name);
    GPtrArray *bases = g_ptr_array_new();

    set_up();
    for (const char *const *options = target->data; *options; options++) {
        add_bases(bases, driver, *options, driver->bitmaps && !options[1]);
    }
    return bases;
}

/* The sum of the bytes, inverted, in two structures. */
static void fix_vpc(FuzzFile *file)
{
    static const struct {
        unsigned at, bytes, field;
    } parts[] = { { 0, 512, 64 }, { 512, 1024, 36 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        const uint8_t *p = fuzz_file_data(file) + parts[i].at;
        uint32_t sum = 0;

        for (unsigned k = 0; k < parts[i].bytes; k++) {
            sum += k - parts[i].field < sizeof(sum) ? 0 : p[k];
        }
        sum = GUINT32_TO_BE(~sum);
        fuzz_file_put(file, parts[i].at + parts[i].field, &sum, sizeof(sum));
    }
}

/* Two headers and two region tables; what is in the log has checksums that stay wrong. */
static void fix_vhdx(FuzzFile *file)
{
    for (unsigned i = 1; i <= 4; i++) {
        unsigned at = i * (64 << 10), bytes = i <= 2 ? 4096 : 64 << 10;

        if (fuzz_file_is_touched(file, at, bytes)) {
            memcpy(buffer, fuzz_file_data(file) + at, bytes);
            vhdx_seal(buffer, bytes, 4);
            fuzz_file_put(file, at + 4, buffer + 4, 4);
        }
    }
}

/* ---- One image ---- */

/* An image may have made files beside it. */
static void clean_up(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(folder);
}

static BlockNode *open_again(const BlockDriver *driver, FuzzFile *file, bool readonly, bool repair)
{
    g_autoptr(NodeDict) dict = node_dict_new();
    const NodeOptions options = { .file = image,
                                  .readonly = readonly,
                                  .repair = repair,
                                  .no_backing = true,
                                  .unsafe = true,
                                  .dict = dict };
    BlockNode *node = g_new0(BlockNode, 1);

    node->driver = driver;
    node->name = g_strdup(image);
    node->readonly = readonly;
    node->file = fuzz_file_open(file, image, readonly);
    if (driver->open(node, &options, NULL)) {
        return node;
    }
    node_close(node->file);
    g_free(node->name);
    g_free(node->backing_name);
    g_free(node->backing_format);
    g_free(node);
    return NULL;
}

static void look(BlockNode *node)
{
    GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *values = g_ptr_array_new_with_free_func(g_free);

    if (node->driver->info) {
        node->driver->info(node, keys, values);
    }
    if (node->driver->cluster_size) {
        node->driver->cluster_size(node);
    }
    if (node->driver->snapshots) {
        g_ptr_array_unref(node->driver->snapshots(node));
    }
    g_ptr_array_unref(keys);
    g_ptr_array_unref(values);
}

/* @large: also if that takes long, as the image claims to have many clusters, or a copy of most of what it claims to have is to be made. */
static void check(BlockNode *node, bool fix, bool large)
{
    NodeCheck c = { .fix_leaks = fix, .fix_errors = fix, .report = NULL };
    uint64_t cluster = node->driver->cluster_size ? node->driver->cluster_size(node) : 0;
    uint64_t most = fix ? MAX_FIX : MAX_CLUSTERS * cluster;

    if (node->driver->check && node->file->length < MAX_FILE && (large || node->length <= most)) {
        c.report = g_string_new(NULL);
        node->driver->check(node, &c, NULL);
        g_string_free(c.report, TRUE);
    }
}

static void use_snapshots(BlockNode *node, const FuzzAction *a)
{
    const NodeSnapshot snapshot = { .name = (char *)"two", .icount = UINT64_MAX };
    const char *name = a->value & 1 ? "one" : "two";

    if (!node->driver->snapshot_create) {
        return;
    }
    switch (a->length % 4) {
    case 0:
        node->driver->snapshot_create(node, &snapshot, NULL);
        break;
    case 1:
        node->driver->snapshot_apply(node, name, NULL);
        break;
    case 2:
        node->driver->snapshot_delete(node, name, NULL);
        break;
    default:
        if (node->readonly) {
            node->driver->snapshot_load(node, name, NULL);
        }
    }
}

static void use_bitmaps(BlockNode *node, const FuzzAction *a)
{
    const BitmapDriver *driver = node->driver->bitmaps;
    const char *name = a->value & 1 ? "one" : "three";
    uint64_t run;
    bool dirty;

    if (!driver) {
        return;
    }
    g_ptr_array_unref(driver->list(node));
    for (uint64_t at = 0, n = 0; n < 64 && at < node->length; n++, at += run) {
        if (driver->status(node, name, at, node->length - at, &dirty, &run)) {
            break;
        }
        g_assert(run && run <= node->length - at);
    }
    if (node->readonly) {
        return;
    }
    switch (a->length % 4) {
    case 0:
        driver->add(node, "two", 0, NULL);
        break;
    case 1:
        driver->remove(node, name, NULL);
        break;
    case 2:
        driver->enable(node, name, a->where & 1, NULL);
        break;
    default:
        driver->set(node, name, 0, node->length, a->where & 1, NULL);
        node_bitmap_merge(node, "one", node, "three", NULL);
    }
}

static void status(BlockNode *node, uint64_t offset)
{
    NodeStatus s;

    for (unsigned i = 0; i < 16 && offset < node->length; i++) {
        if (node_status(node, offset, node->length - offset, &s)) {
            return;
        }
        g_assert(s.bytes && s.bytes <= node->length - offset);
        offset += s.bytes;
    }
}

static void amend(BlockNode *node, const FuzzAction *a)
{
    static const char *const texts[] = { "compat=0.10",
                                         "compat=1.1",
                                         "refcount_bits=1",
                                         "refcount_bits=64",
                                         "refcount_bits=16,compat=0.10",
                                         "lazy_refcounts=on",
                                         "lazy_refcounts=off,refcount_bits=4",
                                         "data_file=,data_file_raw=off" };
    g_autoptr(KeyVals) options = keyvals_parse(texts[a->length % G_N_ELEMENTS(texts)], NULL);

    if (node->driver->amend && node->file->length < MAX_FILE) {
        node->driver->amend(node, options, NULL, NULL);
    }
}

static void compress(BlockNode *node, uint64_t offset)
{
    uint64_t cluster = node->driver->cluster_size ? node->driver->cluster_size(node) : 0;
    struct iovec iov = { buffer, 0 };
    IovCursor c = { &iov, 1, 0 };

    if (cluster && cluster <= MAX_BYTES) {
        offset = offset / cluster * cluster;
        iov.iov_len = MIN(cluster, node->length - offset);
        if (iov.iov_len) {
            node_write_compressed(node, offset, iov.iov_len, &c);
        }
    }
}

/* On a part of the disk; the last argument of an action says where in a 256th of it. */
static void act(BlockNode *node, const FuzzAction *a)
{
    uint64_t offset = node->length / 256 * a->where / 512 * 512;
    uint64_t bytes =
        MIN(node->length - offset, (uint64_t)(a->length + 1) * 512 * (a->value & 1 ? 2 : 1));

    memset(buffer, a->value, bytes);
    switch (a->what % 16) {
    case 0:
    case 1:
    case 2:
        node_pread(node, offset, buffer, bytes);
        break;
    case 3:
    case 4:
    case 5:
        node_pwrite(node, offset, buffer, bytes);
        break;
    case 6:
        node_write_zeroes(node, offset, bytes, a->value & 2);
        break;
    case 7:
        node_discard(node, offset, bytes);
        break;
    case 8:
        node_flush(node);
        break;
    case 9:
        status(node, offset);
        break;
    case 10:
    case 11:
        check(node, a->value & 1, !a->where);
        break;
    case 12:
        if (a->value & 2) {
            use_bitmaps(node, a);
        } else {
            use_snapshots(node, a);
        }
        break;
    case 13:
        if (node->length < MAX_FILE && !node->readonly) {
            node_truncate(node,
                          a->value & 1 ? offset : node->length + (uint64_t)a->where * 4096 + 512,
                          true, NODE_PREALLOC_OFF, NULL);
        }
        break;
    case 14:
        if (node->driver->make_empty && !node->readonly) {
            node->driver->make_empty(node);
        }
        break;
    default:
        if (a->value & 1) {
            amend(node, a);
        } else {
            compress(node, offset);
        }
    }
}

static void run_format(const FuzzTarget *target, FuzzFile *file, const FuzzInput *in)
{
    const BlockDriver *driver = block_driver_find(target->name);
    BlockNode *node = open_again(driver, file, in->n_actions & 1, in->n_actions & 2);

    if (!node) {
        return;
    }
    look(node);
    for (unsigned i = 0; i < in->n_actions; i++) {
        act(node, &in->actions[i]);
    }
    node_close(node);
    node = open_again(driver, file, true, false);
    if (node) {
        check(node, false, false);
        node_close(node);
    }
}

/* ---- Targets ---- */

static const char *const qcow2_options[] = { "size=1M,cluster_size=4k",
                                             "size=1M,cluster_size=512,compat=0.10",
                                             "size=256k,cluster_size=16k,extended_l2=on",
                                             "size=1M,cluster_size=4k,refcount_bits=64",
                                             "size=1M,cluster_size=4k,refcount_bits=1",
                                             "size=1M,cluster_size=4k,lazy_refcounts=on",
                                             "size=1M,cluster_size=4k,compression_type=zstd",
                                             "size=1M,cluster_size=4k",
                                             NULL };
static const char *const qed_options[] = { "size=1M,cluster_size=4k,table_size=1",
                                           "size=4M,cluster_size=64k,table_size=2", NULL };
static const char *const vdi_options[] = { "size=3M", "size=1M,preallocation=metadata", NULL };
static const char *const vpc_options[] = { "size=4M", "size=1M,subformat=fixed", NULL };
static const char *const parallels_options[] = { "size=4M,cluster_size=64k", "size=3M", NULL };
static const char *const vmdk_options[] = { "size=4M", "size=1M,subformat=monolithicFlat",
                                            "size=4M,zeroed_grain=on",
                                            "size=4M,subformat=streamOptimized", NULL };
static const char *const vhdx_options[] = { "size=4M,block_size=1M,log_size=1M", NULL };

int main(int argc, char **argv)
{
    static const FuzzTarget targets[] = {
        { "qcow2", qcow2_options, make_bases, NULL, run_format },
        { "qed", qed_options, make_bases, NULL, run_format },
        { "vdi", vdi_options, make_bases, NULL, run_format },
        { "vpc", vpc_options, make_bases, fix_vpc, run_format },
        { "parallels", parallels_options, make_bases, NULL, run_format },
        { "vmdk", vmdk_options, make_bases, NULL, run_format },
        { "vhdx", vhdx_options, make_bases, fix_vhdx, run_format },
        { NULL },
    };
    int status = fuzz_main(targets, argc, argv);

    if (folder) {
        clean_up();
    }
    return status;
}

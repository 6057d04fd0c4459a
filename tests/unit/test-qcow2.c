/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 format against a model in memory: random reads, writes, zeroes, discards, compressed writes, snapshots, sizes and reopening for
 * many kinds of images, each of which the driver's own check must find clean; cuts in between, after which what was flushed is there;
 * several threads; and images with random damage, which may be refused but must not crash.
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/qcow2.h"
#include "block/node.h"
#include "cuts.h"
#include "images.h"

typedef struct Kind {
    const char *name, *options;
    uint64_t length;
    bool backing, compressed, snapshots;
} Kind;

static char *folder, *image, *base, *copy, *data_file;

/* ---- Helpers ---- */

static void create(const char *file, const char *options)
{
    image_create(&block_qcow2_driver, file, options);
}

static BlockNode *open_image(const char *file, bool readonly)
{
    return image_open("qcow2", file, readonly);
}

/* A raw image of @length bytes behind the image; the model begins with it. */
static void make_base(uint8_t *model, uint64_t length)
{
    image_fill(model, length, 99);
    g_assert_true(g_file_set_contents(base, (const char *)model, (gssize)length, NULL));
}

static BlockNode *make_image(const Kind *k, uint8_t *model)
{
    g_autofree char *options = g_strdup_printf(
        "size=%" G_GUINT64_FORMAT "%s%s%s%s", k->length, k->options,
        k->backing ? ",backing_fmt=raw,backing_file=" : "", k->backing ? base : "", "");

    memset(model, 0, k->length);
    if (k->backing) {
        make_base(model, k->length / 2 + 512);
    }
    create(image, options);
    return open_image(image, false);
}

/* ---- Random accesses against the model ---- */

typedef struct Run {
    const Kind *kind;
    BlockNode *node;
    uint8_t *model, *buf;
    GPtrArray *saved; /* the model at each snapshot */
    unsigned next_name;
} Run;

static void random_range(const Run *r, uint64_t *offset, uint64_t *bytes)
{
    uint64_t sectors = r->kind->length / 512, max = g_test_rand_bit() ? 8 : MIN(1024, sectors);

    *bytes = (uint64_t)g_test_rand_int_range(1, (gint32)MIN(max, sectors) + 1) * 512;
    *offset =
        (uint64_t)g_test_rand_int_range(0, (gint32)((r->kind->length - *bytes) / 512) + 1) * 512;
}

static void write_compressed(Run *r)
{
    uint64_t cluster = r->node->driver->cluster_size(r->node);
    uint64_t offset =
        (uint64_t)g_test_rand_int_range(0, (gint32)((r->kind->length + cluster - 1) / cluster)) *
        cluster;
    uint64_t bytes = MIN(cluster, r->kind->length - offset);
    struct iovec iov = { r->buf, bytes };
    IovCursor c = { &iov, 1, 0 };

    memset(r->buf, g_test_rand_int_range(1, 255), bytes);
    image_fill(r->buf, MIN(bytes, 100), (unsigned)g_test_rand_int());
    if (r->kind->compressed) {
        g_assert_cmpint(node_write_compressed(r->node, offset, bytes, &c), ==, 0);
        memcpy(r->model + offset, r->buf, bytes);
    }
}

static void use_snapshots(Run *r)
{
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    NodeSnapshot sn = { .date_sec = 1 };
    guint i;

    if (!r->kind->snapshots) {
        return;
    }
    if (r->saved->len < 3 && g_test_rand_bit()) {
        sn.name = name = g_strdup_printf("s%u", r->next_name++);
        r->node->driver->snapshot_create(r->node, &sn, &error);
        g_ptr_array_add(r->saved, g_memdup2(r->model, r->kind->length));
    } else if (r->saved->len) {
        g_autoptr(GPtrArray) list = r->node->driver->snapshots(r->node);

        i = (guint)g_test_rand_int_range(0, (gint32)r->saved->len);
        g_assert_cmpuint(list->len, ==, r->saved->len);
        name = g_strdup(((NodeSnapshot *)g_ptr_array_index(list, i))->name);
        if (g_test_rand_bit()) {
            r->node->driver->snapshot_apply(r->node, name, &error);
            memcpy(r->model, g_ptr_array_index(r->saved, i), r->kind->length);
        } else {
            r->node->driver->snapshot_delete(r->node, name, &error);
            g_ptr_array_remove_index(r->saved, i);
        }
    }
    g_assert_no_error(error);
}

static void reopen(Run *r)
{
    g_assert_cmpint(node_close(r->node), ==, 0);
    r->node = open_image(image, false);
}

static void random_write(Run *r, uint64_t offset, uint64_t bytes)
{
    uint64_t a = bytes / 3, b = bytes / 2;
    struct iovec iov[3] = { { r->buf, a }, { r->buf + a, b - a }, { r->buf + b, bytes - b } };
    IovCursor c = { iov, 3, 0 };

    image_fill(r->buf, bytes, (unsigned)g_test_rand_int());
    g_assert_cmpint(node_write(r->node, offset, bytes, &c), ==, 0);
    memcpy(r->model + offset, r->buf, bytes);
}

/* What is discarded is undefined: it becomes known by reading. */
static void random_discard(Run *r, uint64_t offset, uint64_t bytes)
{
    g_assert_cmpint(node_discard(r->node, offset, bytes), ==, 0);
    g_assert_cmpint(node_pread(r->node, offset, r->model + offset, bytes), ==, 0);
}

static void random_step(Run *r)
{
    uint64_t offset, bytes;

    random_range(r, &offset, &bytes);
    switch (g_test_rand_int_range(0, 24)) {
    case 0 ... 6:
        image_assert_reads(r->node, r->model, offset, bytes);
        break;
    case 7 ... 14:
        random_write(r, offset, bytes);
        break;
    case 15 ... 17:
        g_assert_cmpint(node_write_zeroes(r->node, offset, bytes, g_test_rand_bit()), ==, 0);
        memset(r->model + offset, 0, bytes);
        break;
    case 18:
    case 19:
        random_discard(r, offset, bytes);
        break;
    case 20:
        write_compressed(r);
        break;
    case 21:
        use_snapshots(r);
        break;
    case 22:
        g_assert_cmpint(node_flush(r->node), ==, 0);
        break;
    case 23:
        if (g_test_rand_int_range(0, 4) == 0) {
            reopen(r);
        }
        break;
    }
}

static void test_model(gconstpointer data)
{
    const Kind *k = data;
    Run r = { .kind = k };

    for (unsigned round = 0; round < 3; round++) {
        r.model = g_malloc(k->length);
        r.buf = g_malloc(MAX(k->length, 4u << 20));
        r.saved = g_ptr_array_new_with_free_func(g_free);
        r.node = make_image(k, r.model);
        for (unsigned i = 0; i < 400; i++) {
            random_step(&r);
        }
        image_assert_reads(r.node, r.model, 0, k->length);
        image_assert_clean(r.node, true);
        reopen(&r);
        image_assert_reads(r.node, r.model, 0, k->length);
        image_assert_clean(r.node, false);
        g_assert_cmpint(node_close(r.node), ==, 0);
        g_ptr_array_unref(r.saved);
        g_free(r.buf);
        g_free(r.model);
    }
}

/* ---- Cuts ---- */

static bool cut_with_snapshots; /* flags may be wrong then, but nothing else */

static void assert_survives(void)
{
    BlockNode *node;

    cuts_leave(copy);
    node = open_image(copy, false);
    if (!cut_with_snapshots) {
        image_assert_clean(node, true);
    }
    cuts_assert_flushed(node);
    image_mend(node, false);
    cuts_assert_flushed(node);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* Snapshots of what is there; only the newest may be gone back to, which changes the disk. */
static void cut_snapshots(Run *r)
{
    NodeSnapshot sn = { .name = (char *)"cut" };
    g_autoptr(GPtrArray) list = r->node->driver->snapshots(r->node);

    if (list->len < 2) {
        g_assert_true(r->node->driver->snapshot_create(r->node, &sn, NULL));
    } else if (g_test_rand_bit()) {
        g_assert_true(r->node->driver->snapshot_delete(r->node, "cut", NULL));
    } else {
        cuts_touch(0, r->kind->length);
        g_assert_true(r->node->driver->snapshot_apply(r->node, "cut", NULL));
        g_assert_cmpint(node_pread(r->node, 0, r->model, r->kind->length), ==, 0);
    }
}

static void cut_step(Run *r)
{
    uint64_t offset, bytes;

    random_range(r, &offset, &bytes);
    switch (g_test_rand_int_range(0, 14)) {
    case 0:
    case 1:
        cuts_touch(offset, bytes);
        g_assert_cmpint(node_write_zeroes(r->node, offset, bytes, true), ==, 0);
        memset(r->model + offset, 0, bytes);
        break;
    case 2:
        cuts_touch(offset, bytes);
        random_discard(r, offset, bytes);
        break;
    case 3 ... 5:
        g_assert_cmpint(node_flush(r->node), ==, 0);
        cuts_flushed(r->model, r->kind->length);
        break;
    case 6:
        if (cut_with_snapshots) {
            cut_snapshots(r);
        }
        break;
    default:
        cuts_touch(offset, bytes);
        random_write(r, offset, bytes);
    }
}

static void run_cuts(const Kind *k, bool snapshots)
{
    NodeSnapshot sn = { .name = (char *)"before" };
    Run r = { .kind = k, .model = g_malloc(k->length), .buf = g_malloc(4 << 20) };

    r.node = make_image(k, r.model);
    random_write(&r, 0, k->length / 4);
    if (k->snapshots) {
        g_assert_true(r.node->driver->snapshot_create(r.node, &sn, NULL));
    }
    cut_with_snapshots = snapshots;
    cuts_flushed(r.model, k->length);
    cuts_begin(r.node, image, 11, assert_survives);
    for (unsigned i = 0; i < 150; i++) {
        cut_step(&r);
    }
    g_assert_cmpint(node_close(r.node), ==, 0);
    cuts_end();
    g_free(r.model);
    g_free(r.buf);
}

static void test_cuts(gconstpointer data)
{
    run_cuts(data, false);
}

static void test_snapshot_cuts(gconstpointer data)
{
    run_cuts(data, true);
}

/* ---- Threads ---- */

enum { WORKERS = 4, PART = 1 << 20 };

typedef struct Worker {
    BlockNode *node;
    unsigned index;
} Worker;

/* Each has every fourth sector of its own; all of them share clusters. */
static void *work(void *opaque)
{
    const Worker *w = opaque;
    uint8_t buf[512], got[512];
    GRand *rand = g_rand_new_with_seed(w->index);
    uint8_t state[PART / 512] = { 0 };

    for (unsigned i = 0; i < 3000; i++) {
        unsigned n = (unsigned)g_rand_int_range(rand, 0, PART / 512);
        uint64_t offset = ((uint64_t)n * WORKERS + w->index) * 512;

        if (g_rand_boolean(rand)) {
            state[n] = (uint8_t)(i | 1);
            memset(buf, state[n], sizeof(buf));
            g_assert_cmpint(node_pwrite(w->node, offset, buf, 512), ==, 0);
        } else if (i % 500 == 0) {
            g_assert_cmpint(node_flush(w->node), ==, 0);
        } else {
            memset(buf, state[n], sizeof(buf));
            g_assert_cmpint(node_pread(w->node, offset, got, 512), ==, 0);
            g_assert_cmpmem(got, 512, buf, 512);
        }
    }
    g_rand_free(rand);
    return NULL;
}

static void test_threads(void)
{
    GThread *threads[WORKERS];
    Worker workers[WORKERS];
    BlockNode *node;
    NodeSnapshot sn = { .name = (char *)"meanwhile" };

    create(image, "size=4M,cluster_size=4k");
    node = open_image(image, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (Worker){ node, i };
        threads[i] = g_thread_new("worker", work, &workers[i]);
    }
    for (unsigned i = 0; i < 20; i++) {
        g_assert_true(node->driver->snapshot_create(node, &sn, NULL));
        g_assert_true(node->driver->snapshot_delete(node, "meanwhile", NULL));
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpint(node_flush(node), ==, 0);
    image_assert_clean(node, true);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* ---- Damage ---- */

static void use_damaged(bool readonly)
{
    NodeOptions options = {
        .file = copy, .format = "qcow2", .readonly = readonly, .no_backing = true
    };
    g_autoptr(GError) error = NULL;
    BlockNode *node;
    static uint8_t buf[65536];
    NodeCheck check = { .fix_leaks = !readonly, .fix_errors = !readonly };

    options.repair = g_test_rand_bit();
    node = node_open(&options, &error);
    if (!node) {
        g_assert_true(g_str_has_prefix(error->message, copy));
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        uint64_t offset = node->length > sizeof(buf) ? (uint64_t)g_test_rand_int() * 512 %
                                                           (node->length - sizeof(buf) + 512)
                                                     : 0;
        uint64_t bytes = MIN(sizeof(buf), node->length - offset);

        offset = i < 3 ? MIN((uint64_t)i * 40960, node->length - bytes) : offset;
        node_pread(node, offset, buf, bytes);
        if (!readonly) {
            node_pwrite(node, offset, buf, bytes);
            node_discard(node, offset, bytes / 2);
        }
    }
    node_flush(node);
    check.report = g_string_new(NULL);
    node->driver->check(node, &check, NULL);
    g_string_free(check.report, TRUE);
    node_close(node);
}

static void test_damage(void)
{
    static const char *const options[] = { "size=256k,cluster_size=512",
                                           "size=512k,cluster_size=16k,extended_l2=on",
                                           "size=256k,cluster_size=512,compat=0.10" };
    const char *asked = g_getenv("QCOW2_MUTATIONS");
    unsigned n = asked ? (unsigned)g_ascii_strtoull(asked, NULL, 10) : 600;

    for (unsigned o = 0; o < G_N_ELEMENTS(options); o++) {
        Kind k = { .length = 256 << 10, .compressed = true, .snapshots = true };
        g_autofree uint8_t *model = g_malloc0(k.length), *buf = g_malloc(4 << 20);
        Run r = { .kind = &k, .model = model, .buf = buf, .saved = g_ptr_array_new() };
        g_autofree char *data = NULL;
        gsize len;

        create(image, options[o]);
        r.node = open_image(image, false);
        random_write(&r, 0, 65536);
        write_compressed(&r);
        use_snapshots(&r);
        random_write(&r, 4096, 8192);
        g_assert_cmpint(node_close(r.node), ==, 0);
        g_assert_true(g_file_get_contents(image, &data, &len, NULL));
        for (unsigned i = 0; i < n / 3; i++) {
            g_autofree uint8_t *bad = g_memdup2(data, len);

            image_damage(bad, len, 128);
            g_unlink(copy);
            g_assert_true(g_file_set_contents(copy, (char *)bad, (gssize)len, NULL));
            use_damaged(g_test_rand_bit());
        }
    }
}

/* ---- Sizes, repair, names ---- */

static void test_truncate(void)
{
    g_autofree uint8_t *model = g_malloc0(4 << 20);
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    make_base(model, 2 << 20);
    g_autofree char *options =
        g_strdup_printf("size=1M,cluster_size=1k,backing_fmt=raw,backing_file=%s", base);

    create(image, options);
    node = open_image(image, false);
    g_assert_true(node_truncate(node, 4 << 20, false, NODE_PREALLOC_OFF, &error));
    memset(model + (1 << 20), 0, 3 << 20);
    image_assert_reads(node, model, 0, 4 << 20);
    g_assert_cmpint(node_pwrite(node, 3 << 20, model, 65536), ==, 0);
    g_assert_false(node_truncate(node, 1 << 20, false, NODE_PREALLOC_OFF, NULL));
    g_assert_true(node_truncate(node, (1 << 20) + 1000, true, NODE_PREALLOC_OFF, &error));
    g_assert_true(node_truncate(node, 4 << 20, true, NODE_PREALLOC_OFF, &error));
    image_assert_reads(node, model, 0, 4 << 20);
    image_assert_clean(node, true);
    g_assert_cmpint(node_close(node), ==, 0);
    node = open_image(image, false);
    image_assert_clean(node, false);
    g_assert_true(node->driver->set_backing(node, NULL, NULL, &error));
    g_assert_cmpint(node_close(node), ==, 0);
    node = open_image(image, false);
    g_assert_null(node->backing);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* What is new has space and reads as zeroes, whatever is behind the image and in its last cluster. */
static void test_preallocate(void)
{
    static const char *const options[] = { "cluster_size=4k", "cluster_size=16k,extended_l2=on",
                                           "cluster_size=4k,compat=0.10" };
    g_autofree uint8_t *model = g_malloc(1 << 20);

    for (unsigned i = 0; i < 24; i++) {
        uint64_t old = (uint64_t)g_test_rand_int_range(1, 400) * 512;
        uint64_t length = old + (uint64_t)g_test_rand_int_range(1, 600) * 512;
        g_autofree char *text =
            g_strdup_printf("size=%" G_GUINT64_FORMAT ",%s%s%s", old, options[i % 3],
                            i & 8 ? "" : ",backing_fmt=raw,backing_file=", i & 8 ? "" : base);
        g_autoptr(GError) error = NULL;
        BlockNode *node;

        g_test_message("%u: %s to %" G_GUINT64_FORMAT, i, text, length);
        make_base(model, 256 << 10);
        create(image, text);
        node = open_image(image, false);
        memset(model, 0, i & 8 ? 1 << 20 : 0);
        memset(model + old, 0, (1 << 20) - old);
        if (i & 1) { /* a last cluster of its own, perhaps of zeroes */
            g_assert_cmpint(node_write_zeroes(node, 0, old, i & 2), ==, 0);
            memset(model, 0, old);
            image_fill(model + old - 512, 512, i);
            g_assert_cmpint(node_pwrite(node, old - 512, model + old - 512, 512), ==, 0);
        }
        g_assert_true(node_truncate(node, length, false,
                                    i & 4 ? NODE_PREALLOC_METADATA : NODE_PREALLOC_FULL, &error));
        image_assert_reads(node, model, 0, length);
        image_assert_clean(node, true);
        g_assert_cmpint(node_close(node), ==, 0);
    }
}

/* Refcounts that are wrong are set right; an image without any gets new ones. */
static void test_repair(void)
{
    NodeOptions options = { .file = image, .format = "qcow2", .repair = true };
    uint8_t buf[8192], wrong[64] = { 0 };

    for (unsigned round = 0; round < 2; round++) {
        NodeCheck check = { .fix_leaks = true, .fix_errors = true };
        BlockNode *node;

        create(image, "size=1M,cluster_size=512");
        node = open_image(image, false);
        image_fill(buf, sizeof(buf), round);
        g_assert_cmpint(node_pwrite(node, 0, buf, sizeof(buf)), ==, 0);
        g_assert_cmpint(node_close(node), ==, 0);
        g_autofree char *data = NULL;
        gsize len;

        g_assert_true(g_file_get_contents(image, &data, &len, NULL));
        memcpy(data + (round ? 512 : 1024), wrong, round ? 8 : sizeof(wrong));
        g_assert_true(g_file_set_contents(image, data, (gssize)len, NULL));
        node = node_open(&options, NULL);
        g_assert_nonnull(node);
        g_assert_true(node->driver->check(node, &check, NULL));
        g_assert_cmpuint(check.corruptions, >, 0);
        g_assert_cmpuint(check.corruptions, ==, check.corruptions_fixed);
        g_assert_cmpint(node_close(node), ==, 0);
        node = open_image(image, false);
        image_assert_clean(node, false);
        image_assert_reads(node, buf, 0, sizeof(buf));
        g_assert_cmpint(node_close(node), ==, 0);
    }
}

/* What a write comes upon marks the image, which cannot be written then; what a reader comes upon does not. In the image of clusters of 4 KiB
 * these are the refcount table, the refcount block, the L1 table, the L2 table and the first data cluster, at 4 KiB and so on. */
static void test_corrupt(void)
{
    static const struct {
        unsigned at;
        uint64_t value;
        bool mends;
    } damages[] = {
        { 3 * 4096, QE_COPIED | (4 * 4096 + 512),
          false }, /* an L2 table that is not at a cluster */
        { 4 * 4096, QE_COPIED | (5 * 4096 + 512), false }, /* a data cluster */
        { 4 * 4096, QE_COPIED | (3 * 4096), true },        /* it is the L1 table */
        { 4 * 4096, QE_COPIED | (1 * 4096), true },        /* the refcount table */
        { 1 * 4096, 2 * 4096 + 512, true },                /* a refcount block */
        { 2 * 4096, 0, true },                             /* the header is free */
    };
    static uint8_t buf[4096];
    NodeOptions repair = { .file = copy, .format = "qcow2", .repair = true };
    g_autofree char *data = NULL;
    BlockNode *node;
    gsize len;

    create(image, "size=1M,cluster_size=4k");
    node = open_image(image, false);
    g_assert_cmpint(node_pwrite(node, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    g_assert_true(g_file_get_contents(image, &data, &len, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(damages); i++) {
        NodeCheck check = { .fix_leaks = true, .fix_errors = true };
        g_autofree uint8_t *bad = g_memdup2(data, len), *now = NULL;
        gsize n;

        bytes_put_be64(bad + damages[i].at, damages[i].value);
        g_unlink(copy);
        g_assert_true(g_file_set_contents(copy, (char *)bad, (gssize)len, NULL));
        node = open_image(copy, true);
        node_pread(node, 0, buf, sizeof(buf));
        g_assert_cmpint(node_close(node), ==, 0);
        g_assert_true(g_file_get_contents(copy, (char **)&now, &n, NULL));
        g_assert_cmpmem(now, n, bad, len);
        node = open_image(copy, false);
        node_pwrite(node, 0, buf, sizeof(buf));
        g_assert_cmpint(node_pwrite(node, 8192, buf, sizeof(buf)), ==, -EIO);
        node_close(node);
        g_assert_null(node_open(&(NodeOptions){ .file = copy, .format = "qcow2" }, NULL));
        node = open_image(copy, true); /* can still be read */
        g_assert_cmpint(node_close(node), ==, 0);
        node = node_open(&repair, NULL);
        g_assert_true(node->driver->check(node, &check, NULL));
        g_assert_cmpint(node_close(node), ==, 0);
        node = node_open(&(NodeOptions){ .file = copy, .format = "qcow2" }, NULL);
        g_assert_true(!node == !damages[i].mends);
        node_close(node);
    }
}

static void test_data_file(void)
{
    g_autofree char *options =
        g_strdup_printf("size=1M,data_file=%s,data_file_raw=on,cluster_size=4k", data_file);
    g_autofree char *raw = NULL;
    g_autofree uint8_t *model = g_malloc0(1 << 20);
    BlockNode *node;
    gsize len;

    create(image, options);
    node = open_image(image, false);
    image_fill(model + 10240, 20480, 5);
    g_assert_cmpint(node_pwrite(node, 10240, model + 10240, 20480), ==, 0);
    g_assert_cmpint(node_write_zeroes(node, 16384, 8192, true), ==, 0);
    memset(model + 16384, 0, 8192);
    image_assert_reads(node, model, 0, 1 << 20);
    image_assert_clean(node, false);
    g_assert_cmpint(node_close(node), ==, 0);
    g_assert_true(g_file_get_contents(data_file, &raw, &len, NULL));
    g_assert_cmpmem(raw, len, model, 1 << 20);
}

/* ---- The list ---- */

static const Kind kinds[] = {
    { "c512", ",cluster_size=512", 1 << 20, false, true, true },
    { "c512-backing", ",cluster_size=512", 1 << 20, true, true, true },
    { "c512-wide", ",cluster_size=512,refcount_bits=64", 2 << 20, true, true, true },
    { "c512-narrow", ",cluster_size=512,refcount_bits=2", 1 << 20, true, true, false },
    { "c1k-bit", ",cluster_size=1k,refcount_bits=1", 1 << 20, true, true, false },
    { "c4k", ",cluster_size=4k", 4 << 20, false, true, true },
    { "c64k", "", 8 << 20, false, true, true },
    { "c64k-backing", "", 8 << 20, true, true, true },
    { "c2M", ",cluster_size=2M", 16 << 20, true, true, true },
    { "v2", ",compat=0.10,cluster_size=4k", 4 << 20, false, true, true },
    { "v2-backing", ",compat=0.10,cluster_size=4k", 4 << 20, true, true, true },
    { "zstd", ",compression_type=zstd,cluster_size=8k", 4 << 20, true, true, true },
    { "extended", ",extended_l2=on,cluster_size=16k", 4 << 20, false, true, true },
    { "extended-backing", ",extended_l2=on,cluster_size=64k", 8 << 20, true, true, true },
    { "lazy", ",lazy_refcounts=on", 4 << 20, true, true, true },
    { "metadata", ",preallocation=metadata,cluster_size=4k", 4 << 20, false, true, true },
    { "full", ",preallocation=full", 4 << 20, false, false, true },
};

int main(int argc, char **argv)
{
    static const unsigned cut[] = { 0, 1, 2, 7, 10, 12, 13, 14 };
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-qcow2-XXXXXX", NULL);
    image = g_build_filename(folder, "image", NULL);
    base = g_build_filename(folder, "base", NULL);
    copy = g_build_filename(folder, "copy", NULL);
    data_file = g_build_filename(folder, "data", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/qcow2/model/%s", kinds[i].name);

        g_test_add_data_func(path, &kinds[i], test_model);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cut); i++) {
        g_autofree char *path = g_strdup_printf("/qcow2/cuts/%s", kinds[cut[i]].name);

        g_test_add_data_func(path, &kinds[cut[i]], test_cuts);
        if (kinds[cut[i]].snapshots) {
            g_autofree char *with = g_strdup_printf("/qcow2/snapshot-cuts/%s", kinds[cut[i]].name);

            g_test_add_data_func(with, &kinds[cut[i]], test_snapshot_cuts);
        }
    }
    g_test_add_func("/qcow2/threads", test_threads);
    g_test_add_func("/qcow2/truncate", test_truncate);
    g_test_add_func("/qcow2/preallocate", test_preallocate);
    g_test_add_func("/qcow2/repair", test_repair);
    g_test_add_func("/qcow2/corrupt", test_corrupt);
    g_test_add_func("/qcow2/data-file", test_data_file);
    g_test_add_func("/qcow2/damage", test_damage);
    status = g_test_run();
    g_unlink(image);
    g_unlink(base);
    g_unlink(copy);
    g_unlink(data_file);
    g_rmdir(folder);
    return status;
}

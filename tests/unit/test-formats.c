/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The formats with a table of blocks against a model in memory: random reads, writes, zeroes, discards and reopening, after each of which
 * the driver's own check must find nothing; cuts in between, after which what was flushed is there; several threads; headers that are
 * refused; and images with random damage, which may be refused but must not crash.
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/formats/formats.h"
#include "cuts.h"
#include "images.h"

typedef struct Kind {
    const char *name, *format, *options;
    uint64_t length;
    bool backing;
    unsigned head; /* bytes at the beginning, and at the end, that say the most */
} Kind;

static char *folder, *image, *base, *copy;

/* ---- Random accesses against the model ---- */

typedef struct Run {
    const Kind *kind;
    BlockNode *node;
    uint8_t *model, *buf;
} Run;

enum { MAX_BYTES = 3 << 20 };

static void make_image(Run *r)
{
    const Kind *k = r->kind;
    uint64_t behind = k->length / 2 + 512;
    g_autofree char *options =
        g_strdup_printf("size=%" G_GUINT64_FORMAT "%s%s%s", k->length, k->options,
                        k->backing ? ",backing_fmt=raw,backing_file=" : "", k->backing ? base : "");

    r->model = g_malloc0(k->length);
    r->buf = g_malloc(MAX_BYTES);
    if (k->backing) {
        image_fill(r->model, behind, 99);
        g_assert_true(g_file_set_contents(base, (char *)r->model, (gssize)behind, NULL));
    }
    image_create(block_driver_find(k->format), image, options);
    r->node = image_open(k->format, image, false);
    g_assert_cmpuint(r->node->length, ==, k->length);
}

static void free_run(Run *r)
{
    g_assert_cmpint(node_close(r->node), ==, 0);
    g_free(r->model);
    g_free(r->buf);
}

static void random_range(const Run *r, uint64_t *offset, uint64_t *bytes)
{
    uint64_t sectors = r->kind->length / 512,
             max = g_test_rand_int_range(0, 4) ? 16 : MAX_BYTES / 512;

    *bytes = (uint64_t)g_test_rand_int_range(1, (gint32)MIN(max, sectors) + 1) * 512;
    *offset =
        (uint64_t)g_test_rand_int_range(0, (gint32)((r->kind->length - *bytes) / 512) + 1) * 512;
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

static void random_zeroes(Run *r, uint64_t offset, uint64_t bytes)
{
    g_assert_cmpint(node_write_zeroes(r->node, offset, bytes, g_test_rand_bit()), ==, 0);
    memset(r->model + offset, 0, bytes);
}

/* What is discarded is undefined: it becomes known by reading. */
static void random_discard(Run *r, uint64_t offset, uint64_t bytes)
{
    g_assert_cmpint(node_discard(r->node, offset, bytes), ==, 0);
    g_assert_cmpint(node_pread(r->node, offset, r->model + offset, bytes), ==, 0);
}

/* What is said to be zero is, and so is what lies behind what is said to be nowhere. */
static void check_status(Run *r, uint64_t offset, uint64_t bytes)
{
    while (bytes) {
        NodeStatus st;

        g_assert_cmpint(node_status(r->node, offset, bytes, &st), ==, 0);
        g_assert_cmpuint(st.bytes, >, 0);
        g_assert_cmpuint(st.bytes, <=, bytes);
        for (uint64_t i = 0; i < st.bytes && (st.flags & NODE_ZERO); i++) {
            g_assert_cmpuint(r->model[offset + i], ==, 0);
        }
        offset += st.bytes;
        bytes -= st.bytes;
    }
}

/* What may be read past the driver is there. */
static void check_direct(Run *r, uint64_t offset, uint64_t bytes)
{
    uint64_t at;
    int fd;

    if (r->node->driver->direct &&
        r->node->driver->direct(r->node, offset, bytes, g_test_rand_bit(), &fd, &at)) {
        g_assert_cmpint(pread(fd, r->buf, bytes, (off_t)at), ==, (ssize_t)bytes);
        g_assert_cmpmem(r->buf, bytes, r->model + offset, bytes);
    }
}

static void reopen(Run *r)
{
    g_assert_cmpint(node_close(r->node), ==, 0);
    r->node = image_open(r->kind->format, image, false);
}

static void random_step(Run *r)
{
    uint64_t offset, bytes;

    random_range(r, &offset, &bytes);
    switch (g_test_rand_int_range(0, 17)) {
    case 0 ... 3:
        image_assert_reads(r->node, r->model, offset, bytes);
        break;
    case 4 ... 8:
        random_write(r, offset, bytes);
        break;
    case 9 ... 10:
        random_zeroes(r, offset, bytes);
        break;
    case 11:
        random_discard(r, offset, bytes);
        break;
    case 12 ... 13:
        check_status(r, offset, bytes);
        break;
    case 14:
        check_direct(r, offset, bytes);
        break;
    case 15:
        g_assert_cmpint(node_flush(r->node), ==, 0);
        break;
    case 16:
        reopen(r);
        break;
    }
}

static void test_model(gconstpointer data)
{
    const Kind *k = data;

    for (unsigned round = 0; round < 3; round++) {
        Run r = { .kind = k };

        make_image(&r);
        image_assert_reads(r.node, r.model, 0, k->length);
        for (unsigned i = 0; i < 120; i++) {
            random_step(&r);
        }
        image_assert_reads(r.node, r.model, 0, k->length);
        image_assert_clean(r.node, false);
        reopen(&r);
        image_assert_reads(r.node, r.model, 0, k->length);
        image_assert_clean(r.node, false);
        free_run(&r);
    }
}

/* ---- Cuts ---- */

static const Kind *cut_kind;

static void assert_survives(void)
{
    const char *format = cut_kind->format;
    uint8_t byte = 7;
    BlockNode *node;

    cuts_leave(copy);
    node = image_open(format, copy, strcmp(format, "vhdx") != 0); /* whose log must be replayed */
    /* Parallels images say that they are in use. */
    if (strcmp(format, "parallels")) {
        image_assert_clean(node, true);
    }
    cuts_assert_flushed(node);
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open(format, copy, false);
    if (g_test_rand_bit()) { /* go on without a repair */
        g_assert_cmpint(node_pwrite(node, cut_kind->length - 512, &byte, 1), ==, 0);
        g_assert_cmpint(node_pread(node, cut_kind->length - 512, &byte, 1), ==, 0);
        g_assert_cmpuint(byte, ==, 7);
    } else {
        cuts_assert_flushed(node);
        image_mend(node, !strcmp(format, "qed")); /* which has no use for gaps */
        cuts_assert_flushed(node);
    }
    image_assert_clean(node, true);
    g_assert_cmpint(node_close(node), ==, 0);
}

static void cut_step(Run *r)
{
    uint64_t offset, bytes;

    random_range(r, &offset, &bytes);
    switch (g_test_rand_int_range(0, 8)) {
    case 0 ... 2:
        g_assert_cmpint(node_flush(r->node), ==, 0);
        cuts_flushed(r->model, r->kind->length);
        break;
    case 3:
        cuts_touch(offset, bytes);
        random_zeroes(r, offset, bytes);
        break;
    default:
        cuts_touch(offset, bytes);
        random_write(r, offset, bytes);
    }
}

static void test_cuts(gconstpointer data)
{
    const Kind *k = data;
    Run r = { .kind = k };

    make_image(&r);
    cut_kind = k;
    cuts_flushed(r.model, k->length);
    cuts_begin(r.node, image, 7, assert_survives);
    for (unsigned i = 0; i < 100; i++) {
        cut_step(&r);
    }
    free_run(&r);
    cuts_end();
}

/* ---- A disk that fails ---- */

static struct {
    BlockDriver driver;
    const BlockDriver *below;
} failing;

static bool fails(void)
{
    return g_test_rand_int_range(0, 6) == 0;
}

static int failing_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    return fails() ? -ENOSPC : failing.below->write(node, offset, bytes, c);
}

static int failing_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    return fails() ? -ENOSPC : failing.below->write_zeroes(node, offset, bytes, unmap);
}

static int failing_flush(BlockNode *node)
{
    return fails() ? -EIO : failing.below->flush(node);
}

/* A write that fails may have happened or not, sector by sector; nothing else changes, and the next one may succeed. */
static void test_errors(gconstpointer data)
{
    Run r = { .kind = data };
    const BlockDriver *below;

    make_image(&r);
    failing.below = below = r.node->file->driver;
    failing.driver = *below;
    failing.driver.write = failing_write;
    failing.driver.write_zeroes = failing_zeroes;
    failing.driver.flush = failing_flush;
    for (unsigned i = 0; i < 150; i++) {
        uint64_t offset, bytes;
        int err;

        random_range(&r, &offset, &bytes);
        image_fill(r.buf, bytes, i);
        r.node->file->driver = &failing.driver;
        err = i % 5 ? node_pwrite(r.node, offset, r.buf, bytes) : node_flush(r.node);
        r.node->file->driver = below;
        if (i % 5 && err) {
            g_assert_cmpint(node_pread(r.node, offset, r.model + offset, bytes), ==, 0);
        } else if (i % 5) {
            memcpy(r.model + offset, r.buf, bytes);
        }
    }
    image_assert_reads(r.node, r.model, 0, r.kind->length);
    g_assert_cmpint(node_flush(r.node), ==, 0);
    image_assert_clean(r.node, true);
    g_assert_cmpint(node_pwrite(r.node, 0, r.model, r.kind->length), ==, 0); /* there is room */
    reopen(&r);
    image_assert_reads(r.node, r.model, 0, r.kind->length);
    image_assert_clean(r.node, true);
    free_run(&r);
}

/* ---- Threads ---- */

enum { WORKERS = 4 };

typedef struct Worker {
    const Run *run;
    unsigned index;
} Worker;

/* Each has every fourth sector of its own; all of them share blocks. */
static void *work(void *opaque)
{
    const Worker *w = opaque;
    const Run *r = w->run;
    GRand *rand = g_rand_new_with_seed(w->index);
    gint32 n = (gint32)(r->kind->length / 512 / WORKERS);
    uint8_t buf[512], got[512];

    for (unsigned i = 0; i < 1500; i++) {
        uint64_t at = ((uint64_t)g_rand_int_range(rand, 0, n) * WORKERS + w->index) * 512;

        if (g_rand_boolean(rand)) {
            memset(buf, (int)(i | 1), sizeof(buf));
            g_assert_cmpint(node_pwrite(r->node, at, buf, 512), ==, 0);
            memcpy(r->model + at, buf, 512);
        } else if (i % 200 == 0) {
            g_assert_cmpint(node_flush(r->node), ==, 0);
        } else {
            g_assert_cmpint(node_pread(r->node, at, got, 512), ==, 0);
            g_assert_cmpmem(got, 512, r->model + at, 512);
        }
    }
    g_rand_free(rand);
    return NULL;
}

static void test_threads(gconstpointer data)
{
    Run r = { .kind = data };
    GThread *threads[WORKERS];
    Worker workers[WORKERS];

    make_image(&r);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (Worker){ &r, i };
        threads[i] = g_thread_new("worker", work, &workers[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        g_thread_join(threads[i]);
    }
    image_assert_reads(r.node, r.model, 0, r.kind->length);
    image_assert_clean(r.node, false);
    reopen(&r);
    image_assert_reads(r.node, r.model, 0, r.kind->length);
    free_run(&r);
}

/* ---- Damage ---- */

static void put_checksum(uint8_t *p, gsize n, gsize at)
{
    uint32_t sum = 0;

    memset(p + at, 0, 4);
    for (gsize i = 0; i < n; i++) {
        sum += p[i];
    }
    sum = GUINT32_TO_BE(~sum);
    memcpy(p + at, &sum, 4);
}

/* What has checksums gets good ones, so that more than these is looked at. */
static void seal(const char *format, uint8_t *bytes, gsize len)
{
    if (!strcmp(format, "vpc") && len >= 2048) {
        put_checksum(bytes, 512, 64);
        put_checksum(bytes + 512, 1024, 36);
        put_checksum(bytes + len - 512, 512, 64);
    }
}

static void use_damaged(const Kind *k, bool readonly)
{
    NodeOptions options = { .file = copy,
                            .format = k->format,
                            .readonly = readonly,
                            .no_backing = true,
                            .unsafe = true,
                            .repair = g_test_rand_bit() };
    NodeCheck check = { .fix_leaks = !readonly, .fix_errors = !readonly };
    static uint8_t buf[65536];
    g_autoptr(GError) error = NULL;
    BlockNode *node = node_open(&options, &error);
    NodeStatus st;

    if (!node) {
        g_assert_true(g_str_has_prefix(error->message, copy));
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        uint64_t room = node->length - MIN(node->length, sizeof(buf));
        uint64_t bytes = MIN(sizeof(buf), node->length);
        uint64_t offset = i < 3 ? MIN(i * 2000000u, room) : room ? g_test_rand_int() % room : 0;

        node_pread(node, offset, buf, bytes);
        node_status(node, offset, bytes, &st);
        if (!readonly) {
            node_pwrite(node, offset, buf, bytes);
            node_discard(node, offset, bytes / 2);
            node_write_zeroes(node, offset, bytes / 4, true);
        }
    }
    node_flush(node);
    if (node->driver->check && node->length < 1ull << 40) {
        check.report = g_string_new(NULL);
        node->driver->check(node, &check, NULL);
        g_string_free(check.report, TRUE);
    }
    if (!readonly && g_test_rand_bit()) {
        node_truncate(node, node->length + 1000000, false, NODE_PREALLOC_OFF, NULL);
    }
    node_close(node);
}

/* Of the metadata: all that is in the first @head bytes, or there again from the end on. */
static void test_damage(gconstpointer data)
{
    const Kind *k = data;
    const char *asked = g_getenv("FORMAT_MUTATIONS");
    unsigned n = asked ? (unsigned)g_ascii_strtoull(asked, NULL, 10) : 60;
    g_autofree char *bytes = NULL;
    Run r = { .kind = k };
    gsize len;

    make_image(&r);
    random_write(&r, 0, 65536);
    random_write(&r, k->length / 2, 512);
    free_run(&r);
    g_assert_true(g_file_get_contents(image, &bytes, &len, NULL));
    for (unsigned i = 0; i < n; i++) {
        g_autofree uint8_t *bad = g_memdup2(bytes, len);
        gsize left = g_test_rand_int_range(0, 8) ? len : (gsize)g_test_rand_int_range(0, (gint)len);
        unsigned head = MIN(k->head, (unsigned)len);

        image_damage(bad, head, g_test_rand_bit() ? 128 : head);
        if (g_test_rand_bit()) {
            image_damage(bad + len - MIN(len, 512), MIN(len, 512), 100);
        }
        if (g_test_rand_int_range(0, 5)) {
            seal(k->format, bad, len);
        }
        g_unlink(copy);
        g_assert_true(g_file_set_contents(copy, (char *)bad, (gssize)left, NULL));
        use_damaged(k, g_test_rand_bit());
    }
}

/* ---- Headers ---- */

/* Overwrites a part of the image. */
static void poke(const char *format, uint64_t offset, const void *bytes, uint64_t n)
{
    g_autofree char *all = NULL;
    gsize len;

    g_assert_true(g_file_get_contents(image, &all, &len, NULL));
    memcpy(all + offset, bytes, n);
    seal(format, (uint8_t *)all, len);
    g_assert_true(g_file_set_contents(image, all, (gssize)len, NULL));
}

typedef struct Refusal {
    const char *format, *options;
    unsigned offset, bytes; /* where in the header; and BIG if big-endian */
    uint64_t value;
    const char *text; /* behind the file's name */
} Refusal;

enum { BIG = 16 };

static const Refusal refusals[] = {
    { "vdi", "", 64, 4, 0, "is no VDI image" },
    { "vdi", "", 68, 4, 0x10000, "is of version 1.0 of VDI; supported is 1.1" },
    { "vdi", "", 76, 4, 4, "is a differencing VDI image, which is not supported" },
    { "vdi", "", 440, 4, 4, "is a differencing VDI image, which is not supported" },
    { "vdi", "", 76, 4, 9, "is a VDI image of the unknown type 9" },
    { "vdi", "", 360, 4, 4096, "has sectors of 4096 bytes" },
    { "vdi", "", 376, 4, 1000000, "has blocks of 1000000 and 0 bytes" },
    { "vdi", "", 380, 4, 512, "has blocks of 1048576 and 512 bytes" },
    { "vdi", "", 384, 4, 0x40000000, "has 0 of 1073741824 blocks" },
    { "vdi", "", 388, 4, 9, "has 9 of 8 blocks" },
    { "vdi", "", 368, 8, 8388609, "is 8388609 bytes long, but has 8 blocks" },
    { "vdi", "", 340, 4, 0x7ffffe00, "its table of blocks is out of range" },
    { "vdi", "", 344, 4, 512, "its table of blocks is out of range" },
    { "qed", "", 0, 4, 0x444552, "Image not in QED format" },
    { "qed", "", 16, 8, 0x80000000008, "has features that are not known: 0x80000000008" },
    { "qed", "", 4, 4, 65535, "QED cluster size is invalid" },
    { "qed", "", 4, 4, 1u << 27, "QED cluster size is invalid" },
    { "qed", "", 8, 4, 32, "QED table size is invalid" },
    { "qed", "", 12, 4, 0, "QED table offset is invalid" },
    { "qed", "", 12, 4, UINT32_MAX, "QED table offset is invalid" },
    { "qed", "", 40, 8, 65535, "QED table offset is invalid" },
    { "qed", "", 40, 8, 0, "QED table offset is invalid" },
    { "qed", "", 40, 8, 1ull << 62, "QED table offset is invalid" },
    { "qed", "", 48, 8, 1000, "QED image size is invalid" },
    { "qed", "", 48, 8, (64ull << 40) + 512, "QED image size is invalid" },
    { "qed", "", 16, 8, 1, "the name of its backing file is out of range" },
    { "parallels", "", 0, 8, 0, "is no Parallels image" },
    { "parallels", "", 16, 4, 3, "is of version 3 of Parallels' images; supported is 2" },
    { "parallels", "", 28, 4, 0, "Invalid image: Zero sectors per track" },
    { "parallels", "", 28, 4, UINT32_MAX, "Invalid image: Too big cluster" },
    { "parallels", "", 32, 4, 7, "has 16384 sectors, but 7 clusters" },
    { "parallels", "", 32, 4, UINT32_MAX, "Catalog too large" },
    { "parallels", "", 36, 8, UINT64_MAX, "has 18446744073709551615 sectors, but 8 clusters" },
    { "parallels", "", 48, 4, 0, "its data begins at 0" },
    { "parallels", "", 48, 4, 2049, "its data begins at 1049088" },
    { "vpc", "", 12, BIG + 4, 0x20003, "is of version 2.3 of VHD; supported is 1.0" },
    { "vpc", "", 60, BIG + 4, 4, "is a differencing VHD image, which is not supported" },
    { "vpc", "", 60, BIG + 4, 7, "is a VHD image of the unknown type 7" },
    { "vpc", "", 16, BIG + 8, 256, "its header is out of range" },
    { "vpc", "", 16, BIG + 8, UINT64_MAX, "its header is out of range" },
    { "vpc", "", 16, BIG + 8, 1024, "its header is damaged" },
    { "vpc", "", 512, 4, 0, "its header is damaged" },
    { "vpc", "", 536, BIG + 4, 0x30000, "its header is of version 0x30000" },
    { "vpc", "", 544, BIG + 4, 0x300000, "Invalid block size 3145728" },
    { "vpc", "", 544, BIG + 4, 0x80000000, "Invalid block size 2147483648" },
    { "vpc", "", 540, BIG + 4, 3, "is 8388608 bytes long, but has 3 blocks" },
    { "vpc", "", 540, BIG + 4, 1000000, "its table of blocks is out of range" },
    { "vpc", "", 528, BIG + 8, 1537, "its table of blocks is out of range" },
    { "vpc", "", 528, BIG + 8, UINT64_MAX - 511, "its table of blocks is out of range" },
    { "vpc", "", 48, BIG + 8, 8388609, "says to be 8388609 bytes long" },
    { "vpc", "", 48, BIG + 8, UINT64_MAX - 511, "says to be 18446744073709551104 bytes long" },
};

static void test_refusals(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(refusals); i++) {
        const Refusal *x = &refusals[i];
        g_autofree char *options =
                            g_strdup_printf("size=8M%s%s", x->options,
                                            strcmp(x->format, "vpc") ? "" : ",force_size=on"),
                        *text = NULL;
        NodeOptions open = { .file = image, .format = x->format };
        g_autoptr(GError) error = NULL;
        uint64_t value = x->bytes & BIG ? GUINT64_TO_BE(x->value << (8 - x->bytes % BIG) * 8)
                                        : GUINT64_TO_LE(x->value);

        image_create(block_driver_find(x->format), image, options);
        poke(x->format, x->offset, &value, x->bytes % BIG);
        g_assert_null(node_open(&open, &error));
        text = g_strdup_printf("%s: %s", image, x->text);
        g_assert_cmpstr(error->message, ==, text);
    }
}

/* Files that end too early. */
static void test_short(void)
{
    static const char *const formats[] = { "vdi", "qed", "vpc", "parallels" };

    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *bytes = NULL;
        gsize len;

        image_create(block_driver_find(formats[i]), image, "size=8M");
        g_assert_true(g_file_get_contents(image, &bytes, &len, NULL));
        for (gsize n = 0; n < MIN(len, 2048); n += n < 100 ? 1 : 97) {
            NodeOptions open = { .file = copy, .format = formats[i] };
            g_autoptr(GError) error = NULL;
            BlockNode *node;

            g_assert_true(g_file_set_contents(copy, bytes, (gssize)n, NULL));
            node = node_open(&open, &error);
            g_assert_true(node || g_str_has_prefix(error->message, copy));
            node_close(node);
        }
    }
}

/* ---- Large disks ---- */

enum { SPOTS = 2200 };

/* More of the table is needed than is kept in memory. */
static void test_large(gconstpointer data)
{
    const char *format = data;
    uint64_t length = !strcmp(format, "vpc")   ? 2040ull << 30
                      : !strcmp(format, "qed") ? 1ull << 40
                                               : 3ull << 40;
    uint64_t step = length / SPOTS;
    g_autofree char *options = g_strdup_printf("size=%" G_GUINT64_FORMAT, length);
    BlockNode *node;
    NodeStatus st;

    image_create(block_driver_find(format), image, options);
    node = image_open(format, image, false);
    step -= step % 512;
    for (uint64_t i = 0; i < SPOTS; i++) {
        g_assert_cmpint(node_pwrite(node, i * step, &i, sizeof(i)), ==, 0);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < SPOTS; i++) {
            uint64_t got[2];

            g_assert_cmpint(node_pread(node, i * step, got, sizeof(got)), ==, 0);
            g_assert_cmpuint(got[0], ==, i);
            g_assert_cmpuint(got[1], ==, 0);
            g_assert_cmpint(node_status(node, i * step + step / 2, step / 4, &st), ==, 0);
            g_assert_true(st.flags & NODE_ZERO);
        }
        image_assert_clean(node, false);
        g_assert_cmpint(node_close(node), ==, 0);
        node = image_open(format, image, false);
    }
    g_assert_cmpint(node_close(node), ==, 0);
}

/* ---- What one format alone has ---- */

static void peek(uint64_t offset, void *bytes, uint64_t n)
{
    BlockNode *file = image_open("raw", image, true);

    g_assert_cmpint(node_pread(file->file, offset, bytes, n), ==, 0);
    g_assert_cmpint(node_close(file), ==, 0);
}

static const char *vdi_data;

/* No entry names a place that the header does not count, and all blocks are there. */
static void assert_vdi_whole(void)
{
    BlockNode *node;

    cuts_leave(copy);
    node = image_open("vdi", copy, true);
    image_assert_clean(node, true);
    image_assert_reads(node, (const uint8_t *)vdi_data, 0, 6 << 20);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* Places between others that nobody uses, as a power failure may leave them: the last blocks are moved there. */
static void test_vdi_gaps(void)
{
    g_autofree char *data = g_malloc0(6 << 20);
    uint32_t nowhere = UINT32_MAX, n;
    BlockNode *node;

    image_create(&block_vdi_driver, image, "size=6M");
    node = image_open("vdi", image, false);
    image_fill((uint8_t *)data, 6 << 20, 4);
    g_assert_cmpint(node_pwrite(node, 0, data, 6 << 20), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    for (unsigned i = 1; i < 4; i += 2) {
        poke("vdi", 512 + i * 4, &nowhere, 4);
        memset(data + (i << 20), 0, 1 << 20);
    }
    vdi_data = data;
    node = image_open("vdi", image, false);
    cuts_begin(node, image, 1, assert_vdi_whole);
    image_mend(node, false);
    image_assert_reads(node, (uint8_t *)data, 0, 6 << 20);
    g_assert_cmpint(node_close(node), ==, 0);
    cuts_end();
    peek(388, &n, 4);
    g_assert_cmpuint(GUINT32_FROM_LE(n), ==, 4);
}

/* Of a fixed image the footer behind the disk counts, whatever the guest writes; and all of the disk must be there. */
static void test_vpc_fixed(void)
{
    NodeOptions open = { .file = image, .format = "vpc" };
    g_autoptr(GError) error = NULL;
    g_autofree char *dynamic = NULL, *all = NULL;
    BlockNode *node;
    gsize len;

    image_create(&block_vpc_driver, image, "size=1M");
    g_assert_true(g_file_get_contents(image, &dynamic, &len, NULL));
    image_create(&block_vpc_driver, image, "size=2M,subformat=fixed,force_size=on");
    node = image_open("vpc", image, false);
    g_assert_cmpint(node_pwrite(node, 0, dynamic, 2048), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open("vpc", image, false);
    g_assert_cmpuint(node->length, ==, 2 << 20);
    image_assert_reads(node, (uint8_t *)dynamic, 0, 2048);
    g_assert_cmpint(node_close(node), ==, 0);
    g_assert_true(g_file_get_contents(image, &all, &len, NULL));
    g_assert_true(g_file_set_contents(image, all + 4096, (gssize)len - 4096, NULL));
    g_assert_null(node_open(&open, &error));
    g_assert_true(g_str_has_suffix(error->message,
                                   "is shorter than the disk of 2097152 bytes that it holds"));
}

/* Sectors that another program has marked as never written are marked when they are. */
static void test_vpc_marks(void)
{
    uint8_t marks[512] = { 0 }, buf[512 * 40];
    BlockNode *node;

    image_create(&block_vpc_driver, image, "size=2M,force_size=on");
    node = image_open("vpc", image, false);
    image_fill(buf, sizeof(buf), 1);
    g_assert_cmpint(node_pwrite(node, 0, buf, 512), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    peek(2560 + (2 << 20), marks, 512);
    g_assert_cmpmem(marks, 8, "conectix", 8); /* the footer is behind the block */
    peek(2048, marks, 512);
    g_assert_cmpuint(marks[0] & marks[511], ==, 0xff);
    memset(marks, 0, 512);
    poke("vpc", 2048, marks, 512);
    node = image_open("vpc", image, false);
    g_assert_cmpint(node_pwrite(node, 512 * 5, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    peek(2048, marks, 512);
    g_assert_cmpuint(marks[0], ==, 0x07);
    g_assert_cmpuint(marks[1] & marks[4], ==, 0xff);
    g_assert_cmpuint(marks[5], ==, 0xf8);
    g_assert_cmpuint(marks[6], ==, 0);
}

/* Images of the older kind, and what their header may say of extensions and emptiness. */
static void test_parallels_kinds(void)
{
    uint32_t data = GUINT32_TO_LE(1), three = GUINT32_TO_LE(3), flag = GUINT32_TO_LE(1), word;
    NodeOptions open = { .file = image, .format = "parallels" };
    uint64_t extension[9] = {
        GUINT64_TO_LE(0xab234cef23dcea87), 0, 0, GUINT64_TO_LE(5), GUINT64_TO_LE(1), 0
    };
    uint64_t place = GUINT64_TO_LE(16), got;
    g_autoptr(GError) error = NULL;
    uint8_t buf[8192], zeroes[8192] = { 0 };
    BlockNode *node;

    image_create(&block_parallels_driver, image, "size=1M,cluster_size=4k");
    image_fill(buf, sizeof(buf), 1);
    poke("", 0, "WithoutFreeSpace", 16);
    poke("", 48, &data, 4); /* in the table: what counts is its end */
    node = image_open("parallels", image, false);
    g_assert_cmpint(node_pwrite(node, 0, buf, 8192), ==, 0);
    g_assert_cmpint(node_pwrite(node, 12288, buf, 4096), ==, 0);
    g_assert_cmpint(node_pread(node->file, 44, &word, 4), ==, 0);
    g_assert_cmpuint(GUINT32_FROM_LE(word), ==, 0x746f6e59); /* in use */
    g_assert_cmpint(node_close(node), ==, 0);
    peek(44, &word, 4);
    g_assert_cmpuint(GUINT32_FROM_LE(word), ==, 0x312e3276); /* closed */
    peek(64, &word, 4);
    g_assert_cmpuint(GUINT32_FROM_LE(word), >=, 3);
    poke("", 64 + 4 * 9, &three, 4); /* anywhere behind the table */
    node = image_open("parallels", image, false);
    image_assert_reads(node, buf, 0, 8192);
    g_assert_cmpint(node_pread(node, 4096 * 9, zeroes, 4096), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);

    poke("", 4096 * 2, extension, sizeof(extension));
    poke("", 56, &place, 8);
    g_assert_null(node_open(&open, &error));
    g_assert_true(strstr(error->message, "has the extension 0x5, which must be kept up to date"));
    node_close(image_open("parallels", image, true));
    extension[4] = 0;
    poke("", 4096 * 2, extension, sizeof(extension));
    node_close(image_open("parallels", image, false));
    peek(56, &got, 8);
    g_assert_cmpuint(got, ==, 0);

    memset(zeroes, 0, sizeof(zeroes));
    poke("", 52, &flag, 4);
    node = image_open("parallels", image, true);
    image_assert_reads(node, zeroes, 0, 8192);
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open("parallels", image, false);
    image_assert_reads(node, zeroes, 0, 8192);
    g_assert_cmpint(node_pwrite(node, 4096, buf, 4096), ==, 0);
    image_assert_reads(node, zeroes, 0, 4096);
    memcpy(zeroes + 4096, buf, 4096);
    image_assert_reads(node, zeroes, 0, 8192);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* An image of someone who died: its entries may name anything. */
static void test_qed_dirty(void)
{
    uint64_t features = GUINT64_TO_LE(2), autoclear = GUINT64_TO_LE(5), wild = UINT64_MAX;
    uint8_t buf[8192], zeroes[8192] = { 0 };
    BlockNode *node;

    image_create(&block_qed_driver, image, "size=8M,cluster_size=4k,table_size=1");
    node = image_open("qed", image, false);
    image_fill(buf, sizeof(buf), 3);
    g_assert_cmpint(node_pwrite(node, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    poke("qed", 16, &features, 8);
    poke("qed", 32, &autoclear, 8);
    poke("qed", 4096 * 4 + 8, &wild, 8); /* header, L1, two clusters, L2 */
    node = image_open("qed", image, true);
    image_assert_reads(node, buf, 0, 4096);
    g_assert_cmpint(node_pread(node, 4096, zeroes, 4096), ==, -EIO);
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open("qed", image, false);
    image_assert_reads(node, buf, 0, 4096);
    memset(buf, 0, sizeof(buf));
    image_assert_reads(node, buf, 4096, 4096);
    g_assert_cmpint(node_close(node), ==, 0);
    peek(16, &features, 8);
    peek(32, &autoclear, 8);
    g_assert_cmpuint(features | autoclear, ==, 0);
}

/* Two L1 entries with one table: each gets its own. */
static void test_qed_tables(void)
{
    NodeCheck check = { .report = g_string_new(NULL) };
    uint8_t buf[4096], got[4096], zeroes[4096] = { 0 };
    uint64_t l2;
    BlockNode *node;

    image_create(&block_qed_driver, image, "size=8M,cluster_size=4k,table_size=1");
    node = image_open("qed", image, false);
    image_fill(buf, sizeof(buf), 3);
    g_assert_cmpint(node_pwrite(node, 0, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    peek(4096, &l2, 8);
    poke("qed", 4096 + 8, &l2, 8);
    node = image_open("qed", image, false);
    g_assert_true(node->driver->check(node, &check, NULL));
    g_assert_cmpuint(check.corruptions, ==, 2); /* the table, and the block in it */
    image_mend(node, true);
    g_assert_cmpint(node_pread(node, 2 << 20, got, 4096), ==, 0);
    g_assert_cmpmem(got, 4096, buf, 4096);
    g_assert_cmpint(node_pwrite(node, 2 << 20, zeroes, 4096), ==, 0);
    image_assert_reads(node, buf, 0, 4096);
    g_assert_cmpint(node_close(node), ==, 0);
    g_string_free(check.report, TRUE);
}

/* Cut at any time, the image has its old or its new length, name of the image behind it, and contents. */
static void assert_qed_either(void)
{
    BlockNode *node;
    uint8_t byte;

    cuts_leave(copy);
    node = image_open("qed", copy, true);
    g_assert_true(node->length == 1 << 20 || node->length == 4 << 20);
    g_assert_true(!node->backing_name || !strcmp(node->backing_name, base) ||
                  !strcmp(node->backing_name, "base"));
    image_assert_clean(node, true);
    g_assert_cmpint(node_pread(node, 8192, &byte, 1), ==, 0);
    g_assert_true(byte == 0x77 || byte == (node->backing_name ? 0x11 : 0));
    if (node->length > 1 << 20 && byte == 0x77) { /* grown, and not emptied yet */
        g_assert_cmpint(node_pread(node, 3 << 19, &byte, 1), ==, 0);
        g_assert_cmpuint(byte, ==, 0);
    }
    g_assert_cmpint(node_close(node), ==, 0);
}

static void test_qed_cuts(void)
{
    g_autofree char *options = g_strdup_printf(
        "size=1M,cluster_size=4k,table_size=1,backing_fmt=raw,backing_file=%s", base);
    g_autofree char *bytes = g_malloc(2 << 20);
    uint8_t buf[65536];
    BlockNode *node;

    memset(bytes, 0x11, 2 << 20);
    memset(buf, 0x77, sizeof(buf));
    g_assert_true(g_file_set_contents(base, bytes, 2 << 20, NULL));
    image_create(&block_qed_driver, image, options);
    node = image_open("qed", image, false);
    g_assert_cmpint(node_pwrite(node, 0, buf, sizeof(buf)), ==, 0);
    cuts_begin(node, image, 1, assert_qed_either);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(node->driver->set_backing(node, i % 2 ? "base" : base, "raw", NULL));
    }
    g_assert_true(node_truncate(node, 4 << 20, false, NODE_PREALLOC_OFF, NULL));
    g_assert_cmpint(node->driver->make_empty(node), ==, 0);
    g_assert_true(node->driver->set_backing(node, NULL, NULL, NULL));
    g_assert_cmpint(node_close(node), ==, 0);
    cuts_end();
}

/* Over a longer image, and other images behind it. */
static void test_qed_sizes(void)
{
    g_autofree uint8_t *model = g_malloc0(4 << 20);
    g_autofree char *options =
        g_strdup_printf("size=1000000,cluster_size=16k,backing_fmt=raw,backing_file=%s", base);
    g_autofree char *other = g_strdup_printf("%s/", folder);
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    image_fill(model, 2 << 20, 5);
    g_assert_true(g_file_set_contents(base, (char *)model, 2 << 20, NULL));
    image_create(&block_qed_driver, image, options);
    node = image_open("qed", image, false);
    g_assert_cmpuint(node->length, ==, 1000448);
    g_assert_true(node_truncate(node, 1500000, false, NODE_PREALLOC_OFF, &error));
    g_assert_true(node_truncate(node, 4 << 20, false, NODE_PREALLOC_OFF, &error));
    memset(model + 1000448, 0, (4 << 20) - 1000448);
    image_assert_reads(node, model, 0, 4 << 20);
    g_assert_false(node_truncate(node, 1 << 20, true, NODE_PREALLOC_OFF, &error));
    g_assert_true(g_str_has_suffix(error->message, "Shrinking images is currently not supported"));
    image_assert_clean(node, false);
    g_assert_cmpint(node->driver->make_empty(node), ==, 0);
    image_assert_clean(node, false);
    image_assert_reads(node, model, 0, 1000448);
    for (unsigned i = 0; i < 3; i++) { /* names take turns in the header */
        g_assert_true(node->driver->set_backing(node, i == 1 ? other : base, "raw", NULL));
    }
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open("qed", image, false);
    g_assert_cmpstr(node->backing_name, ==, base);
    g_assert_cmpstr(node->backing_format, ==, "raw");
    image_assert_reads(node, model, 0, 1000448);
    g_assert_true(node->driver->set_backing(node, NULL, NULL, NULL));
    g_assert_cmpint(node_close(node), ==, 0);
    node = image_open("qed", image, true);
    g_assert_null(node->backing);
    g_assert_cmpint(node_close(node), ==, 0);
}

/* ---- The list ---- */

static const Kind kinds[] = {
    { "vdi", "vdi", "", 8 << 20, false, 1024 },
    { "vdi-odd", "vdi", "", (7 << 20) + 1536, false, 1024 },
    { "qed", "qed", "", 8 << 20, false, 4096 + 0x60000 },
    { "qed-4k", "qed", ",cluster_size=4k,table_size=1", (6 << 20) + 1536, false, 65536 },
    { "qed-backing", "qed", ",cluster_size=16k,table_size=2", 6 << 20, true, 65536 * 2 },
    { "parallels", "parallels", "", 8 << 20, false, 1024 },
    { "parallels-31k", "parallels", ",cluster_size=31k", (6 << 20) + 1536, false, 1024 },
    { "vpc", "vpc", ",force_size=on", 9 << 20, false, 2560 },
    { "vpc-odd", "vpc", ",force_size=on", (5 << 20) + 1536, false, 2560 },
    { "vpc-fixed", "vpc", ",force_size=on,subformat=fixed", 5 << 20, false, 512 },
    { "vdi-static", "vdi", ",static=on", 5 << 20, false, 1024 },
    { "vhdx", "vhdx", ",block_size=1M", 8 << 20, false, 1024 },
    { "vhdx-fixed", "vhdx", ",subformat=fixed,block_size=2M", (5 << 20) + 512, false, 1024 },
    { "vmdk", "vmdk", "", 8 << 20, false, 65536 },
    { "vmdk-zeroed", "vmdk", ",zeroed_grain=on", (35 << 20) + 512, false, 65536 },
};

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        GTestDataFunc test;
    } tests[] = { { "model", test_model },
                  { "cuts", test_cuts },
                  { "errors", test_errors },
                  { "threads", test_threads },
                  { "damage", test_damage } };
    static const char *const large[] = { "vdi", "qed", "vpc", "parallels" };
    char seed[] = "--seed=R02S00000001000000020000000300000004";
    char *seeded[] = { argv[0], seed, NULL };
    int status;

    /* The same each time, unless more is asked for. */
    if (argc == 1 && !g_getenv("FORMAT_MUTATIONS")) {
        argc = 2;
        argv = seeded;
    }
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-formats-XXXXXX", NULL);
    image = g_build_filename(folder, "image", NULL);
    base = g_build_filename(folder, "base", NULL);
    copy = g_build_filename(folder, "copy", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        for (unsigned t = 0; t < G_N_ELEMENTS(tests); t++) {
            g_autofree char *path = g_strdup_printf("/formats/%s/%s", kinds[i].name, tests[t].name);

            g_test_add_data_func(path, &kinds[i], tests[t].test);
        }
    }
    g_test_add_func("/formats/refusals", test_refusals);
    g_test_add_func("/formats/short", test_short);
    g_test_add_func("/formats/vdi/gaps", test_vdi_gaps);
    g_test_add_func("/formats/vpc/footer", test_vpc_fixed);
    g_test_add_func("/formats/vpc/marks", test_vpc_marks);
    g_test_add_func("/formats/parallels/kinds", test_parallels_kinds);
    g_test_add_func("/formats/qed/dirty", test_qed_dirty);
    g_test_add_func("/formats/qed/sizes", test_qed_sizes);
    g_test_add_func("/formats/qed/tables", test_qed_tables);
    g_test_add_func("/formats/qed/changes", test_qed_cuts);
    for (unsigned i = 0; i < G_N_ELEMENTS(large); i++) {
        g_autofree char *path = g_strdup_printf("/formats/large/%s", large[i]);

        g_test_add_data_func(path, large[i], test_large);
    }
    status = g_test_run();
    g_unlink(image);
    g_unlink(base);
    g_unlink(copy);
    g_rmdir(folder);
    return status;
}

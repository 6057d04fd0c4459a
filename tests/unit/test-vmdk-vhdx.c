/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is of VMDK and VHDX alone (test-formats.c has what they share with others): descriptors and extents, images upon images, compressed
 * grains, and VHDX's log after a power failure; and images with random damage whose checksums are right again, which may be refused but
 * must not crash.
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/vhdx.h"
#include "block/formats/vmdk.h"
#include "images.h"

enum { MIB = 1 << 20 };

static char *folder;

static char *path(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static void put_file(const char *name, const void *data, gsize len)
{
    g_autofree char *file = path(name);

    g_assert_true(g_file_set_contents(file, data, (gssize)len, NULL));
}

static void make(const char *format, const char *name, const char *options)
{
    g_autofree char *file = path(name);

    image_create(block_driver_find(format), file, options);
}

static BlockNode *open_image(const char *format, const char *name, bool readonly)
{
    g_autofree char *file = path(name);

    return image_open(format, file, readonly);
}

/* Opening it fails, with this text behind its name. */
static void assert_refused(const char *format, const char *name, bool readonly, const char *text)
{
    g_autofree char *file = path(name), *expected = g_strdup_printf("%s: %s", file, text);
    NodeOptions options = { .file = file, .format = format, .readonly = readonly };
    g_autoptr(GError) error = NULL;

    g_assert_null(node_open(&options, &error));
    if (!g_str_has_prefix(error->message, expected)) {
        g_assert_cmpstr(error->message, ==, expected);
    }
}

static void put(const char *name, uint64_t offset, const void *data, gsize len)
{
    BlockNode *node = open_image("raw", name, false);

    g_assert_cmpint(node_pwrite(node->file, offset, data, len), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
}

static void put32(const char *name, uint64_t offset, uint32_t value)
{
    uint8_t bytes[4];

    bytes_put_le32(bytes, value);
    put(name, offset, bytes, 4);
}

/* ---- VMDK: extents ---- */

static const char head[] = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n";

static void put_descriptor(const char *name, const char *type, const char *lines)
{
    g_autofree char *text = g_strdup_printf("%screateType=\"%s\"\n\n%s", head, type, lines);

    put_file(name, text, strlen(text));
}

static void write_pattern(BlockNode *node, uint8_t *model, uint64_t offset, uint64_t bytes,
                          unsigned seed)
{
    image_fill(model + offset, bytes, seed);
    g_assert_cmpint(node_pwrite(node, offset, model + offset, bytes), ==, 0);
}

/* Sparse, flat, of zeroes, and sparse: requests go over the boundaries. */
static void test_extents(void)
{
    uint64_t a = 3 * MIB + 512, b = MIB + 1536, c = 65536, d = 2 * MIB, length = a + b + c + d;
    g_autofree uint8_t *model = g_malloc0(length);
    g_autofree char *lines =
        g_strdup_printf("RW %u SPARSE \"a.vmdk\"\r\nRW %u FLAT \"b.bin\" 3\n"
                        "RW %u ZERO\nRW %u SPARSE \"d.vmdk\"\n",
                        (unsigned)a / 512, (unsigned)b / 512, (unsigned)c / 512, (unsigned)d / 512);
    g_autofree char *options = g_strdup_printf("size=%u", (unsigned)a);
    BlockNode *node;
    uint8_t byte = 0;

    make("vmdk", "a.vmdk", options);
    make("vmdk", "d.vmdk", "size=2M,zeroed_grain=on");
    put_file("b.bin", "", 0);
    put_descriptor("x.vmdk", "twoGbMaxExtentSparse", lines);
    for (unsigned round = 0; round < 3; round++) {
        node = open_image(NULL, "x.vmdk", false);
        g_assert_cmpstr(node->driver->name, ==, "vmdk");
        g_assert_cmpuint(node->length, ==, length);
        image_assert_reads(node, model, 0, length);
        write_pattern(node, model, a - 100352, 100352 + 512 * (round + 1), round);
        write_pattern(node, model, a + 1024, b - 1024, round + 5);
        write_pattern(node, model, a + b + c, 512 * (200 + round), round + 7);
        g_assert_cmpint(node_write_zeroes(node, a + b - 512, 512 + c + 512, true), ==, 0);
        memset(model + a + b - 512, 0, 1024 + c);
        g_assert_cmpint(node_pwrite(node, a + b, &byte, 1), ==, -EROFS);
        image_assert_reads(node, model, 0, length);
        image_assert_clean(node, false);
        g_assert_cmpint(node_close(node), ==, 0);
    }
}

static void test_descriptors(void)
{
    static const struct {
        const char *type, *lines, *text;
    } cases[] = {
        { "vmfs", "RW 8 VMFS \"f\"\n", "Unsupported image type 'vmfs'" },
        { "vmfs", "RW 12582912 VMFS \"dummy.vmdk\" 1\n", "Invalid extent line: RW 12582912 VMFS" },
        { "fullDevice", "RW 8 FLAT \"/dev/sda\" 0\n", "Unsupported image type 'fullDevice'" },
        { "monolithicFlat", "RW 0 FLAT \"b.bin\" 0\n", "Invalid extent line: RW 0 FLAT" },
        { "monolithicFlat", "RW 8 FLAT \"b.bin\"\n", "Invalid extent line" },
        { "monolithicFlat", "RW 8 FLAT \"b.bin 0\n", "Invalid extent line" },
        { "monolithicFlat", "RW 8 FLAT \"\" 0\n", "Invalid extent line" },
        { "monolithicFlat", "RW -8 FLAT \"b.bin\" 0\n", "Invalid extent line" },
        { "monolithicFlat", "NOACCESS 8 FLAT \"b.bin\" 0\n", "Invalid extent line" },
        { "monolithicFlat", "RW 99999999999999999 FLAT \"b.bin\" 0\n", "Invalid extent line" },
        { "monolithicFlat", "RW 8 FLAT \"b.bin\" 18014398509481983\n", "Invalid extent line" },
        { "monolithicFlat", "RW 8 SESPARSE \"b.bin\"\n", "Unsupported extent type 'SESPARSE'" },
        { "monolithicFlat", "RW 8 FLAT \"nbd:localhost:1\" 0\n", "its extent 'nbd:localhost:1'" },
        { "monolithicFlat", "RW 8 FLAT \"not-there\" 0\n", "an extent of it cannot be opened: " },
        { "monolithicFlat",
          "RW 18014398509473791 FLAT \"b.bin\" 0\nRW 18014398509473791 FLAT \"c.bin\" 0\n",
          "its extents together are too long" },
        { "monolithicFlat", "CID=hello\n", "its CID is no number" },
        { "monolithicFlat", "parentFileNameHint=\"\"\n", "its parent has no name" },
    };

    put_file("b.bin", "", 0);
    put_file("c.bin", "", 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        put_descriptor("x.vmdk", cases[i].type, cases[i].lines);
        assert_refused("vmdk", "x.vmdk", true, cases[i].text);
    }
    put_file("x.vmdk", "hello\n", 6);
    assert_refused("vmdk", "x.vmdk", true, "is no VMDK image");
}

/* Headers of a sparse extent. */
static void test_headers(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
        const char *text;
    } cases[] = {
        { VM_VERSION, 9, "Unsupported VMDK version 9" },
        { VM_VERSION, 3, "VMDK version 3 must be read only" },
        { VM_GRAIN, 0, "Invalid granularity, image may be corrupt" },
        { VM_GRAIN, 129, "Invalid granularity, image may be corrupt" },
        { VM_GRAIN + 4, 1, "Invalid granularity, image may be corrupt" },
        { VM_GTES, 0, "L2 table size too small" },
        { VM_GTES, 513, "L2 table size too big" },
        { VM_CAPACITY + 4, 0x7fffffff, "L1 size too big" },
        { VM_CAPACITY + 4, 1, "its grain directory is out of range" },
        { VM_OVERHEAD, 100000, "File truncated, expecting at least 51200000 bytes" },
        { VM_GD, 0x7fffffff, "its grain directory is out of range" },
        { VM_RGD, 0x7fffffff, "its second grain directory is out of range" },
        { VM_DESCRIPTOR, 0x7fffffff, "its descriptor is out of range" },
        { VM_COMPRESSION, 7, "is compressed in the unknown way 7" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        make("vmdk", "x.vmdk", "size=64M");
        put32("x.vmdk", cases[i].at, cases[i].value);
        assert_refused("vmdk", "x.vmdk", false, cases[i].text);
    }
}

/* An image of version 1 of ESX Server: a directory of one table, in which grains 1 and 4095 are there. */
static void test_cowd(void)
{
    g_autofree uint8_t *file = g_malloc0(40 * 512), *model = g_malloc0(4096 * 512);
    BlockNode *node;

    memcpy(file, "COWD", 4);
    bytes_put_le32(file + 4, 1);
    bytes_put_le32(file + 8, 3);
    bytes_put_le32(file + 12, 4096);
    bytes_put_le32(file + 16, 1);
    bytes_put_le32(file + 20, 4);
    bytes_put_le32(file + 24, 1);
    bytes_put_le32(file + 4 * 512, 5);
    bytes_put_le32(file + 5 * 512 + 1 * 4, 38);
    bytes_put_le32(file + 5 * 512 + 4095 * 4, 37);
    image_fill(file + 37 * 512, 1024, 3);
    memcpy(model + 512, file + 38 * 512, 512);
    memcpy(model + 4095 * 512, file + 37 * 512, 512);
    put_file("x.vmdk", file, 40 * 512);
    node = open_image(NULL, "x.vmdk", true);
    g_assert_cmpuint(node->length, ==, 4096 * 512);
    image_assert_reads(node, model, 0, node->length);
    node_close(node);
    assert_refused("vmdk", "x.vmdk", false, "is a COWD image, which can only be read");
}

/* ---- VMDK: images upon images ---- */

static void test_parent(void)
{
    g_autofree uint8_t *model = g_malloc0(4 * MIB);
    g_autofree char *base = path("base.vmdk");
    BlockNode *node;
    uint8_t byte = 9;

    make("vmdk", "base.vmdk", "size=3M");
    node = open_image("vmdk", "base.vmdk", false);
    write_pattern(node, model, 100000 / 512 * 512, 300032, 4);
    node_close(node);
    make("vmdk", "x.vmdk", "size=4M,backing_file=base.vmdk,backing_fmt=vmdk");
    for (unsigned round = 0; round < 2; round++) {
        node = open_image("vmdk", "x.vmdk", false);
        g_assert_cmpstr(node->backing_name, ==, "base.vmdk");
        image_assert_reads(node, model, 0, 4 * MIB);
        write_pattern(node, model, 200192 + 66048 * round, 1024, 8);
        g_assert_cmpint(node_write_zeroes(node, 131072, 512, false), ==, 0);
        memset(model + 131072, 0, 512);
        image_assert_reads(node, model, 0, 4 * MIB);
        image_assert_clean(node, false);
        node_close(node);
    }
    /* What is upon it is of no use any more. */
    node = open_image("vmdk", "base.vmdk", false);
    g_assert_cmpint(node_pwrite(node, 0, &byte, 1), ==, 0);
    g_assert_cmpint(node_close(node), ==, 0);
    node = open_image("vmdk", "x.vmdk", true);
    g_assert_cmpint(node_pread(node, 0, &byte, 1), ==, -EINVAL);
    node_close(node);
    g_unlink(base);
}

/* ---- VMDK: compressed grains ---- */

static void write_stream(uint8_t *model, uint64_t length)
{
    BlockNode *node;

    make("vmdk", "x.vmdk", "subformat=streamOptimized,size=1000448");
    node = open_image("vmdk", "x.vmdk", false);
    g_assert_cmpuint(node->length, ==, length);
    g_assert_true(node->driver->only_compressed(node));
    write_pattern(node, model, 131072, 65536, 1);
    write_pattern(node, model, 0, 65536, 2);
    write_pattern(node, model, length / 65536 * 65536, length % 65536, 3);
    g_assert_cmpint(node_write_zeroes(node, 196608, 65536, true), ==, 0);
    g_assert_cmpint(node_pwrite(node, 0, model, 65536), ==, -EIO);
    g_assert_cmpint(node_pwrite(node, 262144, model, 512), ==, -EINVAL);
    g_assert_cmpint(node_pwrite(node, 262144 + 512, model, 65536), ==, -EINVAL);
    image_assert_reads(node, model, 0, length);
    image_assert_clean(node, false);
    g_assert_cmpint(node_close(node), ==, 0);
}

static void test_stream(void)
{
    uint64_t length = 1000448;
    g_autofree uint8_t *model = g_malloc0(length), *file = NULL;
    g_autofree char *name = path("x.vmdk"), *text = NULL;
    BlockNode *node;
    gsize len;

    write_stream(model, length);
    node = open_image(NULL, "x.vmdk", true);
    image_assert_reads(node, model, 0, length);
    node_close(node);
    /* A real stream has its directory's place only at the end. */
    g_assert_true(g_file_get_contents(name, &text, &len, NULL));
    file = g_malloc0(len + 3 * 512);
    memcpy(file, text, len);
    file[len + 8 + 4] = 3;
    memcpy(file + len + 512, text, 512);
    memset(file + VM_GD, 0xff, 8);
    put_file("x.vmdk", file, len + 3 * 512);
    node = open_image(NULL, "x.vmdk", true);
    image_assert_reads(node, model, 0, length);
    node_close(node);
    put_file("x.vmdk", file, len);
    assert_refused("vmdk", "x.vmdk", true, "has no footer, which it needs");
}

/* ---- VHDX: the log ---- */

enum { X_LOG = MIB, X_BAT = 2 * MIB, X_METADATA = 3 * MIB };

/* The file as a power failure leaves it: all was flushed, nothing was closed. */
static uint8_t *cut_image(uint8_t *model, gsize *len)
{
    g_autofree char *file = path("x.vhdx");
    BlockNode *node;
    char *text;

    make("vhdx", "x.vhdx", "size=8M,block_size=1M");
    node = open_image("vhdx", "x.vhdx", false);
    write_pattern(node, model, MIB / 2, 2 * MIB, 1);
    g_assert_cmpint(node_flush(node), ==, 0);
    write_pattern(node, model, 5 * MIB, 4096, 2);
    g_assert_cmpint(node_flush(node), ==, 0);
    g_assert_true(g_file_get_contents(file, &text, len, NULL));
    g_assert_cmpint(node_close(node), ==, 0);
    return (uint8_t *)text;
}

static void test_log(void)
{
    g_autofree uint8_t *model = g_malloc0(8 * MIB), *bytes = NULL;
    NodeCheck check = { .fix_errors = true };
    BlockNode *node;
    gsize len;

    bytes = cut_image(model, &len);
    /* The page of the table was not written, or half of it. */
    for (unsigned half = 0; half < 2; half++) {
        memset(bytes + X_BAT + half * 8, 0xff, 4096 / (half + 1));
        put_file("y.vhdx", bytes, len);
        assert_refused("vhdx", "y.vhdx", true, "VHDX image file '");
        node = open_image("vhdx", "y.vhdx", false);
        image_assert_reads(node, model, 0, 8 * MIB);
        check.report = g_string_new(NULL);
        check.corruptions_fixed = 0;
        g_assert_true(node->driver->check(node, &check, NULL));
        g_assert_cmpuint(check.corruptions_fixed, ==, 1);
        g_assert_cmpuint(check.corruptions, ==, 0);
        g_string_free(check.report, TRUE);
        g_assert_cmpint(node_close(node), ==, 0);
        node = open_image("vhdx", "y.vhdx", true);
        image_assert_reads(node, model, 0, 8 * MIB);
        node_close(node);
    }
}

/* The last entry was being written: what was before it counts. */
static void test_torn_log(void)
{
    g_autofree uint8_t *model = g_malloc0(8 * MIB), *bytes = NULL;
    BlockNode *node;
    gsize len;

    bytes = cut_image(model, &len);
    bytes[X_LOG + 8192 + 4096 + 100] ^= 1;
    memset(bytes + X_BAT, 0, 4096);
    put_file("y.vhdx", bytes, len);
    node = open_image("vhdx", "y.vhdx", false);
    memset(model + 5 * MIB, 0, 4096);
    image_assert_reads(node, model, 0, 8 * MIB);
    g_assert_cmpint(node_close(node), ==, 0);
    /* No entry at all. */
    bytes[X_LOG] ^= 1;
    put_file("y.vhdx", bytes, len);
    node = open_image("vhdx", "y.vhdx", true);
    memset(model, 0, 8 * MIB);
    image_assert_reads(node, model, 0, 8 * MIB);
    node_close(node);
}

/* An entry that needs the one before it, and one of zeroes. */
static void test_long_log(void)
{
    g_autofree uint8_t *model = g_malloc0(8 * MIB), *bytes = NULL;
    uint8_t *second, *third;
    BlockNode *node;
    gsize len;

    bytes = cut_image(model, &len);
    second = bytes + X_LOG + 8192;
    third = bytes + X_LOG + 16384;
    bytes_put_le32(second + 12, 0);                        /* its tail: the first one, which */
    bytes_put_le64(bytes + X_LOG + 64 + 16, X_BAT + 4096); /* is for another page now */
    vhdx_seal(bytes + X_LOG, 8192, 4);
    vhdx_seal(second, 8192, 4);
    memcpy(third, second, 96);
    bytes_put_le32(third + 8, 4096);
    bytes_put_le64(third + 16, 3);
    bytes_put_le64(third + 48 + 8, len + MIB); /* and the file is to be longer */
    memcpy(third + 64, "zero", 4);
    bytes_put_le64(third + 64 + 8, 4096);
    bytes_put_le64(third + 64 + 16, X_BAT + 4096);
    bytes_put_le64(third + 64 + 24, 3);
    vhdx_seal(third, 4096, 4);
    memset(bytes + X_BAT, 0xff, 8192);
    put_file("y.vhdx", bytes, len);
    node = open_image("vhdx", "y.vhdx", false);
    image_assert_reads(node, model, 0, 8 * MIB);
    g_assert_cmpuint(node->file->length, ==, len + MIB);
    g_assert_cmpint(node_pread(node->file, X_BAT + 4096, model, 4096), ==, 0);
    for (unsigned i = 0; i < 4096; i++) {
        g_assert_cmpuint(model[i], ==, 0);
    }
    g_assert_cmpint(node_close(node), ==, 0);
}

/* Entries that say to write where they must not. */
static void test_bad_log(void)
{
    static const uint64_t places[] = { 0,          65536,      X_LOG + 4096,     X_BAT + 512,
                                       1ull << 50, 1ull << 63, UINT64_MAX - 4095 };
    g_autofree uint8_t *model = g_malloc0(8 * MIB), *bytes = NULL;
    gsize len;

    bytes = cut_image(model, &len);
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        uint8_t *entry = bytes + X_LOG + 8192;

        bytes_put_le64(entry + 64 + 16, places[i]);
        vhdx_seal(entry, 8192, 4);
        put_file("y.vhdx", bytes, len);
        assert_refused("vhdx", "y.vhdx", false, "its log is damaged");
    }
}

static void test_regions(void)
{
    static const struct {
        uint64_t at;
        uint32_t value;
        const char *text;
    } cases[] = {
        { VHDX_REGIONS_AT + XR_COUNT, 1, "has no block allocation table or no metadata" },
        { VHDX_REGIONS_AT + XR_COUNT, 2048, "has no table of regions that is intact" },
        { VHDX_REGIONS_AT + XR_ENTRIES, 1, "needs a region of a kind that is not known" },
        { VHDX_REGIONS_AT + XR_ENTRIES + XR_OFFSET, MIB, "regions of it overlap" },
        { VHDX_REGIONS_AT + XR_ENTRIES + XR_OFFSET, 100 * MIB, "a region of it is out of range" },
        { VHDX_REGIONS_AT + XR_ENTRIES + XR_LENGTH, 4096, "a region of it is out of range" },
        { X_METADATA + XM_COUNT, 3, "its metadata are not complete" },
        { X_METADATA + XM_ENTRIES, 1, "needs metadata of a kind that is not known" },
        { X_METADATA + XM_ENTRIES + XM_OFFSET, MIB - 4, "its metadata are out of range" },
        { X_METADATA + XM_ENTRIES + XM_LENGTH, 4, "its metadata are out of range" },
        { X_METADATA + VHDX_TABLE, 3 * MIB, "has blocks of 3145728 bytes" },
        { X_METADATA + VHDX_TABLE + 4, 2, "is a differencing VHDX image, which is not supported" },
        { X_METADATA + VHDX_TABLE + 8, 1, "its disk is 1 bytes long" },
        { X_METADATA + VHDX_TABLE + 12, 64, "its block allocation table is too short" },
        { X_METADATA + VHDX_TABLE + 32, 520, "has sectors of 520 bytes" },
        { 0, 0, "is no VHDX image" },
    };
    g_autofree char *name = path("x.vhdx");

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *bytes = NULL;
        gsize len;

        make("vhdx", "x.vhdx", "size=8M,block_size=1M");
        g_assert_true(g_file_get_contents(name, (char **)&bytes, &len, NULL));
        bytes_put_le32(bytes + cases[i].at, cases[i].value);
        vhdx_seal(bytes + VHDX_REGIONS_AT, VHDX_TABLE, XR_CHECKSUM);
        memcpy(bytes + VHDX_REGIONS_AT + VHDX_TABLE, bytes + VHDX_REGIONS_AT, VHDX_TABLE);
        put_file("x.vhdx", bytes, len);
        assert_refused("vhdx", "x.vhdx", true, cases[i].text);
    }
}

/* ---- Damage ---- */

static void use_damaged(const char *format, const char *name, bool readonly)
{
    g_autofree char *file = path(name);
    NodeOptions options = {
        .file = file, .format = format, .readonly = readonly, .no_backing = true
    };
    NodeCheck check = { .fix_errors = !readonly, .fix_leaks = !readonly };
    BlockNode *node = node_open(&options, NULL);
    static uint8_t buf[65536];
    NodeStatus st;

    for (unsigned i = 0; node && i < 6; i++) {
        uint64_t bytes = MIN(sizeof(buf), node->length), room = node->length - bytes;
        uint64_t offset = MIN(i * 1000448u, room);

        node_pread(node, offset, buf, bytes);
        node_status(node, offset, bytes, &st);
        if (!readonly) {
            node_pwrite(node, offset, buf, bytes);
            node_write_zeroes(node, offset / 2, bytes / 2, true);
            node_discard(node, offset, bytes);
        }
    }
    if (node && node->length < 1ull << 36) {
        check.report = g_string_new(NULL);
        node->driver->check(node, &check, NULL);
        g_string_free(check.report, TRUE);
    }
    node_close(node);
}

static unsigned mutations(void)
{
    const char *asked = g_getenv("FORMAT_MUTATIONS");

    return asked ? (unsigned)g_ascii_strtoull(asked, NULL, 10) : 40;
}

/* All that has a checksum gets one that is right. */
static void test_vhdx_damage(void)
{
    static const struct {
        unsigned at, bytes;
    } parts[] = {
        { VHDX_HEADER_AT, 80 }, { VHDX_REGIONS_AT, 80 }, { X_LOG + 8192, 128 },
        { X_BAT, 64 },          { X_METADATA, 192 },     { X_METADATA + VHDX_TABLE, 40 }
    };
    g_autofree uint8_t *model = g_malloc0(8 * MIB), *bytes = NULL;
    gsize len;

    bytes = cut_image(model, &len);
    for (unsigned i = 0; i < mutations(); i++) {
        unsigned part = (unsigned)g_test_rand_int_range(0, G_N_ELEMENTS(parts));
        g_autofree uint8_t *bad = g_memdup2(bytes, len);

        image_damage(bad + parts[part].at, parts[part].bytes, parts[part].bytes);
        memcpy(bad + VHDX_HEADER_AT * 2, bad + VHDX_HEADER_AT, part ? 0 : VHDX_PAGE);
        vhdx_seal(bad + VHDX_HEADER_AT, VHDX_PAGE, XH_CHECKSUM);
        vhdx_seal(bad + VHDX_HEADER_AT * 2, VHDX_PAGE, XH_CHECKSUM);
        vhdx_seal(bad + VHDX_REGIONS_AT, VHDX_TABLE, XR_CHECKSUM);
        vhdx_seal(bad + X_LOG + 8192, 8192, 4);
        put_file("y.vhdx", bad, len);
        use_damaged("vhdx", "y.vhdx", g_test_rand_bit());
    }
}

static void damage_file(const char *name, const char *copy, unsigned first)
{
    g_autofree char *file = path(name);
    g_autofree uint8_t *bytes = NULL;
    gsize len;

    g_assert_true(g_file_get_contents(file, (char **)&bytes, &len, NULL));
    for (unsigned i = 0; i < mutations(); i++) {
        g_autofree uint8_t *bad = g_memdup2(bytes, len);

        image_damage(bad, len, MIN(first, (unsigned)len));
        put_file(copy, bad, len);
        use_damaged("vmdk", copy, g_test_rand_bit());
    }
}

static void test_vmdk_damage(void)
{
    g_autofree uint8_t *model = g_malloc0(1000448);

    write_stream(model, 1000448);
    damage_file("x.vmdk", "y.vmdk", 80);
    damage_file("x.vmdk", "y.vmdk", 65536 + 200);
    make("vmdk", "z.vmdk", "size=3M,subformat=twoGbMaxExtentSparse");
    damage_file("z.vmdk", "y.vmdk", 300);
}

int main(int argc, char **argv)
{
    char seed[] = "--seed=R02S00000001000000020000000300000004";
    char *seeded[] = { argv[0], seed, NULL };
    const char *name;
    GDir *dir;
    int status;

    if (argc == 1 &&
        !g_getenv("FORMAT_MUTATIONS")) { /* the same each time, unless more is asked for */
        argc = 2;
        argv = seeded;
    }
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-vmdk-vhdx-XXXXXX", NULL);
    g_test_add_func("/vmdk/extents", test_extents);
    g_test_add_func("/vmdk/descriptors", test_descriptors);
    g_test_add_func("/vmdk/headers", test_headers);
    g_test_add_func("/vmdk/cowd", test_cowd);
    g_test_add_func("/vmdk/parent", test_parent);
    g_test_add_func("/vmdk/stream", test_stream);
    g_test_add_func("/vmdk/damage", test_vmdk_damage);
    g_test_add_func("/vhdx/log", test_log);
    g_test_add_func("/vhdx/torn-log", test_torn_log);
    g_test_add_func("/vhdx/long-log", test_long_log);
    g_test_add_func("/vhdx/bad-log", test_bad_log);
    g_test_add_func("/vhdx/regions", test_regions);
    g_test_add_func("/vhdx/damage", test_vhdx_damage);
    status = g_test_run();
    dir = g_dir_open(folder, 0, NULL);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = path(name);

        g_unlink(file);
    }
    g_dir_close(dir);
    g_rmdir(folder);
    g_free(folder);
    return status;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command compare: 0 if two images have the same contents, 1 if not, more if that cannot be found out. What is a hole in both is
 * not read.
 */
#include <inttypes.h>
#include <string.h>
#include "img/img-priv.h"

enum { CHUNK = 1 << 20, STATUS_OPEN = 2, STATUS_EXTENT = 3, STATUS_READ = 4 };

typedef struct Comparison {
    const ImgArgs *args;
    BlockNode *node[2];
    const char *name[2];
    char *buf[2];
    uint64_t common, total;
    bool strict;
} Comparison;

/* -1: alike so far; otherwise the exit status, and it was said. */
static int read_error(const Comparison *c, int i, uint64_t offset, int err)
{
    img_error("Error while reading offset %" PRIu64 " of %s: %s", offset, c->name[i],
              img_strerror(err));
    return STATUS_READ;
}

static int mismatch(const Comparison *c, uint64_t offset)
{
    img_say(c->args, "Content mismatch at offset %" PRIu64 "!\n",
            offset / BLOCK_SECTOR * BLOCK_SECTOR);
    return 1;
}

/* The first byte that differs; @bytes if none does. */
static uint64_t first_difference(const char *a, const char *b, uint64_t bytes)
{
    uint64_t i = 0;

    if (!memcmp(a, b, bytes)) {
        return bytes;
    }
    while (a[i] == b[i]) {
        i++;
    }
    return i;
}

static int compare_data(const Comparison *c, uint64_t offset, uint64_t bytes)
{
    uint64_t same;

    for (int i = 0; i < 2; i++) {
        int err = node_pread(c->node[i], offset, c->buf[i], bytes);

        if (err) {
            return read_error(c, i, offset, err);
        }
    }
    same = first_difference(c->buf[0], c->buf[1], bytes);
    return same < bytes ? mismatch(c, offset + same) : -1;
}

/* @i's bytes must be zero. */
static int compare_with_zeroes(const Comparison *c, int i, uint64_t offset, uint64_t bytes)
{
    int err = node_pread(c->node[i], offset, c->buf[i], bytes);
    uint64_t run;

    if (err) {
        return read_error(c, i, offset, err);
    }
    if (img_zero_run(c->buf[i], bytes, BLOCK_SECTOR, &run)) {
        return run < bytes ? mismatch(c, offset + run) : -1;
    }
    return mismatch(c, offset);
}

static int get_extent(const Comparison *c, int i, uint64_t offset, uint64_t bytes, ImgExtent *e)
{
    int err = img_extent(c->node[i], NULL, offset, bytes, e);

    if (err) {
        img_error("Sector allocation test failed for %s", c->name[i]);
        return STATUS_EXTENT;
    }
    return -1;
}

/* Goes on by *@bytes. */
static int compare_common(const Comparison *c, uint64_t offset, uint64_t *bytes)
{
    const unsigned kinds = NODE_DATA | NODE_ZERO | NODE_ALLOCATED;
    ImgExtent e[2];
    int status = -1;
    bool zero[2];

    for (int i = 0; i < 2 && status < 0; i++) {
        status = get_extent(c, i, offset, c->common - offset, &e[i]);
        zero[i] = e[i].flags & NODE_ZERO;
    }
    if (status >= 0) {
        return status;
    }
    if (c->strict && (e[0].flags & kinds) != (e[1].flags & kinds)) {
        img_say(c->args, "Strict mode: Offset %" PRIu64 " block status mismatch!\n", offset);
        return 1;
    }
    *bytes = MIN(e[0].bytes, e[1].bytes);
    if (zero[0] && zero[1]) {
        return -1;
    }
    *bytes = MIN(*bytes, CHUNK);
    return zero[0] == zero[1] ? compare_data(c, offset, *bytes)
                              : compare_with_zeroes(c, zero[0] ? 1 : 0, offset, *bytes);
}

/* What the longer image has behind the other's end. */
static int compare_rest(const Comparison *c, int longer)
{
    uint64_t bytes;
    ImgExtent e;

    for (uint64_t offset = c->common; offset < c->total; offset += bytes) {
        int status = get_extent(c, longer, offset, c->total - offset, &e);

        bytes = e.bytes;
        if (status < 0 && !(e.flags & NODE_ZERO)) {
            bytes = MIN(bytes, CHUNK);
            status = compare_with_zeroes(c, longer, offset, bytes);
        }
        if (status >= 0) {
            return status;
        }
        img_progress(offset + bytes, c->total);
    }
    return -1;
}

static int compare(Comparison *c)
{
    int longer = c->node[1]->length > c->node[0]->length, status;
    uint64_t bytes;

    c->common = c->node[!longer]->length;
    c->total = c->node[longer]->length;
    if (c->strict && c->common != c->total) {
        img_say(c->args, "Strict mode: Image size mismatch!\n");
        return 1;
    }
    for (uint64_t offset = 0; offset < c->common; offset += bytes) {
        status = compare_common(c, offset, &bytes);
        if (status >= 0) {
            return status;
        }
        img_progress(offset + bytes, c->total);
    }
    if (c->common != c->total) {
        img_say(c->args, "Warning: Image size mismatch!\n");
        status = compare_rest(c, longer);
        if (status >= 0) {
            return status;
        }
    }
    img_say(c->args, "Images are identical.\n");
    return 0;
}

int img_compare(const ImgArgs *args)
{
    g_autofree char *a = g_malloc(CHUNK), *b = g_malloc(CHUNK);
    Comparison c = { .args = args, .buf = { a, b }, .strict = img_has(args, "s") };
    int status = STATUS_OPEN;

    if (args->n_files != 2) {
        return img_usage_error("Expecting two image file names");
    }
    c.name[0] = args->files[0];
    c.name[1] = args->files[1];
    c.node[0] = img_open(args, c.name[0], img_get(args, "f"), 0);
    c.node[1] = c.node[0] ? img_open(args, c.name[1], img_get(args, "F"), 0) : NULL;
    if (c.node[1]) {
        img_progress_begin(args);
        status = compare(&c);
        img_progress_end();
    }
    node_close(c.node[1]);
    node_close(c.node[0]);
    return status;
}

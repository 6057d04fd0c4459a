/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands dd (a part of an image into a new one) and bench (how many requests a second).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "img/img-priv.h"

/* ---- dd: as qemu-img has it, blocks are counted from the input's begin, those that are skipped among them ---- */

typedef struct Dd {
    const char *input, *output;
    uint64_t bs, count, skip;
    bool counted;
} Dd;

static bool parse_operand(Dd *d, const char *word)
{
    const char *eq = strchr(word, '=');
    g_autofree char *key = eq ? g_strndup(word, eq - word) : g_strdup(word);

    if (eq && !strcmp(key, "if")) {
        d->input = eq + 1;
    } else if (eq && !strcmp(key, "of")) {
        d->output = eq + 1;
    } else if (eq && !strcmp(key, "bs")) {
        if (!img_parse_size(eq + 1, "bs", &d->bs)) {
            return false;
        }
        if (!d->bs || d->bs > INT32_MAX) {
            img_error("Invalid bs specified. Must be between 1 and %d.", INT32_MAX);
            return false;
        }
    } else if (eq && !strcmp(key, "count")) {
        d->counted = true;
        return img_parse_size(eq + 1, "count", &d->count);
    } else if (eq && !strcmp(key, "skip")) {
        return img_parse_size(eq + 1, "skip", &d->skip);
    } else {
        img_error("unrecognized operand %s", key);
        return false;
    }
    return true;
}

static int copy_part(BlockNode *in, BlockNode *out, uint64_t from, uint64_t bytes, uint64_t step)
{
    g_autofree char *buf = g_try_malloc(step);

    if (!buf) {
        return img_error("no memory for blocks of %" PRIu64 " bytes", step);
    }
    for (uint64_t at = 0; at < bytes; at += step) {
        uint64_t n = MIN(step, bytes - at);
        int err = node_pread(in, from + at, buf, n);

        if (err) {
            return img_error("error while reading from input image file: %s", img_strerror(err));
        }
        err = node_pwrite(out, at, buf, n);
        if (err) {
            return img_error("error while writing to output image file: %s", img_strerror(err));
        }
    }
    return 0;
}

/* The output is made anew, as long as what is copied. */
static int write_output(const Dd *d, const BlockDriver *driver, BlockNode *in, uint64_t from,
                        uint64_t bytes)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(KeyVals) options = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *why = NULL;
    NodeOptions open = { .file = d->output, .format = driver->name };
    bool there = node_is_remote(d->output) || g_file_test(d->output, G_FILE_TEST_EXISTS);
    BlockNode *out;
    int status;

    img_options_add_size(text, bytes);
    options = img_options_parse(driver, text->str, "");
    if (!options) {
        return 1;
    }
    if (img_same_file(d->input, d->output)) {
        return img_error("%s: error while creating output image of type '%s': it is the input",
                         d->output, driver->name);
    }
    if (!node_create(driver, d->output, options, &error)) {
        why = img_create_error_text(error, d->output);
        return img_error("%s: error while creating output image of type '%s': %s", d->output,
                         driver->name, why);
    }
    out = node_open(&open, &error);
    if (!out) {
        return img_error("Could not open '%s': %s", d->output, img_error_text(error, d->output));
    }
    /* Blocks as large as asked for, but never so small that it crawls. */
    status = copy_part(in, out, from, MIN(bytes, in->length - from), MAX(d->bs, 1 << 20));
    status |= img_close(out);
    if (status && !there) {
        unlink(d->output);
    }
    return status;
}

int img_dd(const ImgArgs *args)
{
    Dd d = { .bs = BLOCK_SECTOR };
    const char *format = img_get(args, "O") ?: "raw";
    const BlockDriver *driver = block_driver_find(format);
    uint64_t from, end;
    BlockNode *in;
    int status;

    for (int i = 0; i < args->n_files; i++) {
        if (!parse_operand(&d, args->files[i])) {
            return 1;
        }
    }
    if (!d.input || !d.output) {
        return img_error("Must specify both input and output files");
    }
    if (!driver) {
        g_autofree char *text = img_unknown_format("file format", format);

        return img_error("%s", text);
    }
    in = img_open(args, d.input, img_get(args, "f"), 0);
    if (!in) {
        return 1;
    }
    end = d.counted && d.count < in->length / d.bs ? d.count * d.bs : in->length;
    from = d.skip <= in->length / d.bs ? d.skip * d.bs : in->length;
    if (d.skip && d.skip > in->length / d.bs) {
        img_error("%s: cannot skip to specified offset", d.input);
    }
    status = write_output(&d, driver, in, from, end - MIN(from, end));
    node_close(in);
    return status;
}

/* ---- bench ---- */

enum { MAX_DEPTH = 64 };

typedef struct Bench {
    BlockNode *node;
    bool write;
    uint64_t count, depth, size, step, offset, flush_interval, pattern;
    uint64_t next; /* request; atomic */
    int err;       /* atomic */
} Bench;

static void *bench_worker(void *opaque)
{
    Bench *b = opaque;
    g_autofree char *buf = g_malloc(b->size);
    uint64_t n;

    memset(buf, (int)b->pattern, b->size);
    while (!g_atomic_int_get(&b->err) &&
           (n = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED)) < b->count) {
        uint64_t room = b->node->length - b->size;
        uint64_t at = b->offset + n * b->step;
        int err;

        at = at > room && room > b->offset ? b->offset + (at - b->offset) % (room - b->offset) : at;
        err = b->write ? node_pwrite(b->node, at, buf, b->size)
                       : node_pread(b->node, at, buf, b->size);
        if (!err && b->flush_interval && (n + 1) % b->flush_interval == 0) {
            err = node_flush(b->node);
        }
        if (err) {
            g_atomic_int_set(&b->err, err);
        }
    }
    return NULL;
}

static int run_bench(Bench *b)
{
    GThread *threads[MAX_DEPTH] = { NULL };
    gint64 begin = g_get_monotonic_time();

    for (unsigned i = 1; i < b->depth; i++) {
        threads[i] = g_thread_try_new("bench", bench_worker, b, NULL);
    }
    bench_worker(b);
    for (unsigned i = 1; i < b->depth; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        }
    }
    if (b->err) {
        return img_error("Failed request: %s", img_strerror(b->err));
    }
    printf("Run completed in %3.3f seconds.\n", (double)(g_get_monotonic_time() - begin) / 1e6);
    return 0;
}

static bool parse_bench(const ImgArgs *args, Bench *b)
{
    const char *count = img_get(args, "c"), *depth = img_get(args, "d"),
               *flush = img_get(args, "flush-interval"), *pattern = img_get(args, "pattern"),
               *offset = img_get(args, "o"), *size = img_get(args, "s"), *step = img_get(args, "S");

    if (count && !img_parse_number(count, 1, INT32_MAX, &b->count)) {
        img_error("Invalid request count specified");
    } else if (depth && !img_parse_number(depth, 1, INT32_MAX, &b->depth)) {
        img_error("Invalid queue depth specified");
    } else if (flush && !img_parse_number(flush, 0, INT32_MAX, &b->flush_interval)) {
        img_error("Invalid flush interval specified");
    } else if (pattern && !img_parse_number(pattern, 0, 255, &b->pattern)) {
        img_error("Invalid pattern byte specified");
    } else if (flush && !img_has(args, "w")) {
        img_error("--flush-interval is only available in write tests");
    } else {
        return (!offset || img_parse_size(offset, "offset", &b->offset)) &&
               (!size || img_parse_size(size, "buffer size", &b->size)) &&
               (!step || img_parse_size(step, "step_size", &b->step));
    }
    return false;
}

int img_bench(const ImgArgs *args)
{
    Bench b = { .count = 75000, .depth = MAX_DEPTH, .size = 4096, .write = img_has(args, "w") };
    int status;

    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    if (!parse_bench(args, &b)) {
        return 1;
    }
    b.step = b.step ? b.step : b.size;
    b.node = img_open(args, args->files[0], img_get(args, "f"), b.write ? IMG_WRITE : 0);
    if (!b.node) {
        return 1;
    }
    if (!b.size || b.size > MIN(b.node->length, 1 << 30) || b.step > INT32_MAX ||
        b.offset > b.node->length - b.size) {
        node_close(b.node);
        return img_error("Failed request: %s", img_strerror(-EIO));
    }
    b.depth = MIN(b.depth, MAX_DEPTH);
    img_say(args,
            "Sending %" PRIu64 " %s requests, %" PRIu64 " bytes each, %" PRIu64
            " in parallel (starting at offset %" PRIu64 ", step size %" PRIu64 ")\n",
            b.count, b.write ? "write" : "read", b.size, b.depth, b.offset, b.step);
    if (b.flush_interval) {
        img_say(args, "Sending flush every %" PRIu64 " requests\n", b.flush_interval);
    }
    status = run_bench(&b);
    return img_close(b.node) | status;
}

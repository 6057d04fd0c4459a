/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command convert: one or more images, one behind the other, become a new one (or the contents of one that is there: -n).
 *
 * Threads take the next piece of the whole (take_item(), under the lock), read it and write it. A piece is data, or zeroes, or nothing that must be
 * written; pieces of data begin where clusters of the target do, so that no two threads write the same. Unless -W is given or the target is raw,
 * where it does not matter, writes happen in the order of the pieces: the same command makes the same image.
 *
 * A new image is made under another name beside its place and gets its own when it is complete.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "img/img-priv.h"

enum {
    PIECE = 2 << 20,
    ZERO_PIECE = 1 << 30,
    SPARSE = 4096,
    MAX_SPARSE = 16 << 20,
    MAX_THREADS = 16,
    MAX_CLUSTER = 4 << 20
};

typedef struct Source {
    BlockNode *node;
    const BlockNode *base; /* what is from here on is the target's backing image's; NULL: nothing */
    uint64_t start;        /* in the whole */
} Source;

typedef struct Convert {
    const ImgArgs *args;
    const BlockDriver *driver; /* of a new target */
    const char *path;
    char *part; /* the name of a target that is being made; NULL: it has its own */
    bool made;  /* to be removed if it stays incomplete */
    BlockNode *target;
    GArray *sources;
    uint64_t total, sparse, cluster, piece;
    bool target_zero, has_backing, compressed, ordered, salvage;
    unsigned threads;
    GMutex lock;
    GCond turn_changed;
    uint64_t next, done;     /* bytes */
    uint64_t n_taken, n_put; /* pieces of data and zeroes */
    bool failed;
} Convert;

typedef struct Item {
    uint64_t offset, bytes, number;
    bool zero;
} Item;

/* ---- Reading ---- */

static Source *source_at(const Convert *c, uint64_t offset)
{
    unsigned i = c->sources->len;

    while (i-- > 1 && g_array_index(c->sources, Source, i).start > offset) {}
    return &g_array_index(c->sources, Source, i);
}

/* Sector by sector; what cannot be read becomes zeroes. */
static void salvage(BlockNode *node, uint64_t offset, char *buf, uint64_t bytes)
{
    for (; bytes; offset += BLOCK_SECTOR, buf += BLOCK_SECTOR, bytes -= BLOCK_SECTOR) {
        int err = node_pread(node, offset, buf, BLOCK_SECTOR);

        if (err) {
            img_error("warning: error while reading offset %" PRIu64 ": %s", offset,
                      img_strerror(err));
            memset(buf, 0, BLOCK_SECTOR);
        }
    }
}

static int read_sources(const Convert *c, uint64_t offset, char *buf, uint64_t bytes)
{
    while (bytes) {
        const Source *s = source_at(c, offset);
        uint64_t in = offset - s->start, n = MIN(bytes, s->node->length - in);
        int err = node_pread(s->node, in, buf, n);

        if (err && !c->salvage) {
            return err;
        }
        if (err) {
            salvage(s->node, in, buf, n);
        }
        offset += n;
        buf += n;
        bytes -= n;
    }
    return 0;
}

/* ---- Pieces ---- */

/* What is at c->next; false: it could not be found out. *@skip: the target has it already. */
static bool look(const Convert *c, Item *item, bool *skip)
{
    const Source *s = source_at(c, c->next);
    uint64_t in = c->next - s->start, left = s->node->length - in;
    ImgExtent e = { .bytes = left, .flags = NODE_DATA };
    int err = c->sparse ? img_extent(s->node, s->base, in, MIN(left, ZERO_PIECE), &e) : 0;

    if (err && c->salvage) { /* only this sector, then */
        err = img_extent(s->node, s->base, in, MIN(left, BLOCK_SECTOR), &e);
        if (err) {
            img_error("warning: error while reading block status at offset %" PRIu64 ": %s",
                      c->next, img_strerror(err));
            e = (ImgExtent){ .bytes = MIN(left, BLOCK_SECTOR), .flags = NODE_DATA };
            err = 0;
        }
    }

    *item = (Item){ .offset = c->next, .bytes = e.bytes, .zero = e.flags & NODE_ZERO };
    *skip = !e.flags || (item->zero && c->target_zero) ||
            (item->zero && s->base && in >= s->base->length); /* as of what will be behind it */
    if (err) {
        img_error("error while reading block status at offset %" PRIu64 ": %s", c->next,
                  img_strerror(err));
    }
    return !err;
}

/* Pieces of data are whole clusters, as the compressed must be; so are holes in front of them, where it matters. */
static void align(const Convert *c, Item *item, bool *skip)
{
    uint64_t end = item->offset + item->bytes;

    if (*skip || item->zero) {
        if (!c->compressed || end == c->total) {
            return;
        }
        end -= end % c->cluster;
        if (end > item->offset) {
            item->bytes = end - item->offset;
            return;
        }
        *skip = item->zero = false; /* a cluster in which something else begins */
        end = item->offset + 1;
    }
    end = MIN(end, item->offset - item->offset % c->piece + c->piece);
    end = (end + c->cluster - 1) / c->cluster * c->cluster;
    item->bytes = MIN(end, c->total) - item->offset;
}

/* False: there is no more, or something failed. */
static bool take_item(Convert *c, Item *item)
{
    bool skip = true;

    g_mutex_lock(&c->lock);
    while (skip && c->next < c->total && !c->failed) {
        if (img_interrupted() || !look(c, item, &skip)) {
            c->failed = true;
            break;
        }
        align(c, item, &skip);
        c->next += item->bytes;
        if (skip) {
            c->done += item->bytes;
            img_progress(c->done, c->total);
        }
    }
    if (c->failed) {
        g_cond_broadcast(&c->turn_changed);
        skip = true;
    } else if (!skip) {
        item->number = c->n_taken++;
    }
    g_mutex_unlock(&c->lock);
    return !skip;
}

/* ---- Writing ---- */

/* Zeroes as such where they are long enough, and not at all if the target has them. */
static int write_sparse(const Convert *c, const Item *item, char *buf)
{
    uint64_t run;

    for (uint64_t at = 0; at < item->bytes; at += run) {
        bool zero = c->sparse && img_zero_run(buf + at, item->bytes - at, c->sparse, &run);
        int err = 0;

        if (!c->sparse) {
            run = item->bytes;
        }
        if (!zero) {
            err = node_pwrite(c->target, item->offset + at, buf + at, run);
        } else if (!c->target_zero) {
            err = node_write_zeroes(c->target, item->offset + at, run, true);
        }
        if (err) {
            return err;
        }
    }
    return 0;
}

static int write_compressed(const Convert *c, const Item *item, char *buf)
{
    for (uint64_t at = 0; at < item->bytes; at += c->cluster) {
        uint64_t n = MIN(c->cluster, item->bytes - at), run;
        bool zero = c->sparse && img_zero_run(buf + at, n, n, &run);
        struct iovec iov = { buf + at, n };
        IovCursor cursor = { &iov, 1, 0 };
        int err = 0;

        if (!zero) {
            err = node_write_compressed(c->target, item->offset + at, n, &cursor);
        } else if (!c->target_zero) {
            err = node_write_zeroes(c->target, item->offset + at, n, true);
        }
        if (err) {
            return err;
        }
    }
    return 0;
}

static int write_item(const Convert *c, const Item *item, char *buf)
{
    if (item->zero) {
        return node_write_zeroes(c->target, item->offset, item->bytes, true);
    }
    return c->compressed ? write_compressed(c, item, buf) : write_sparse(c, item, buf);
}

/* False: something failed meanwhile. */
static bool wait_for_turn(Convert *c, const Item *item)
{
    bool ok;

    g_mutex_lock(&c->lock);
    while (c->ordered && c->n_put != item->number && !c->failed) {
        g_cond_wait(&c->turn_changed, &c->lock);
    }
    ok = !c->failed;
    g_mutex_unlock(&c->lock);
    return ok;
}

static void item_done(Convert *c, const Item *item, int err, const char *what)
{
    g_mutex_lock(&c->lock);
    if (err && !c->failed) {
        img_error("error while %s at byte %" PRIu64 ": %s", what, item->offset, img_strerror(err));
    }
    c->failed |= err != 0;
    c->n_put++;
    c->done += item->bytes;
    if (!c->failed) {
        img_progress(c->done, c->total);
    }
    g_cond_broadcast(&c->turn_changed);
    g_mutex_unlock(&c->lock);
}

static void *copy(void *opaque)
{
    Convert *c = opaque;
    char *buf = NULL;
    Item item;

    while (take_item(c, &item)) {
        int err = 0;

        img_pace(item.zero ? 0 : item.bytes);
        if (!item.zero) {
            buf = buf ? buf : aligned_alloc(SPARSE, c->piece + c->cluster);
            err = buf ? read_sources(c, item.offset, buf, item.bytes) : -ENOMEM;
        }
        if (err) {
            item_done(c, &item, err, "reading");
        } else if (wait_for_turn(c, &item)) {
            item_done(c, &item, write_item(c, &item, buf), "writing");
        }
    }
    free(buf);
    return NULL;
}

/* Says where the status of damaged sources cannot be read, before anything is copied. */
static void survey(Convert *c)
{
    bool skip;
    Item item;

    for (c->next = 0; c->next < c->total && look(c, &item, &skip); c->next += item.bytes) {}
    c->next = 0;
    c->threads = 1; /* what is said next comes in order */
}

static bool copy_all(Convert *c)
{
    GThread *threads[MAX_THREADS] = { NULL };

    if (c->salvage) {
        survey(c);
    }
    img_progress_begin(c->args);
    for (unsigned i = 1; i < c->threads; i++) {
        threads[i] = g_thread_try_new("convert", copy, c, NULL); /* fewer will do */
    }
    copy(c);
    for (unsigned i = 1; i < c->threads; i++) {
        if (threads[i]) {
            g_thread_join(threads[i]);
        }
    }
    if (!c->failed) {
        img_progress(1, 1);
    }
    img_progress_end();
    return !c->failed;
}

/* ---- The target ---- */

/* With the name that the user knows. */
static bool fail_target(const Convert *c, const GError *error)
{
    g_autofree char *text = img_create_error_text(error, c->part ?: c->path);
    g_autoptr(GString) named = g_string_new(text);

    if (c->part) {
        g_string_replace(named, c->part, c->path, 0);
    }
    img_error("%s: error while converting %s: %s", c->path, c->driver->name, named->str);
    return false;
}

static bool check_sources_apart(const Convert *c)
{
    for (unsigned i = 0; i < c->sources->len; i++) {
        for (const BlockNode *n = g_array_index(c->sources, Source, i).node; n; n = n->backing) {
            if (img_same_file(n->name, c->path)) {
                img_error("%s: error while converting %s: Failed to get \"write\" lock\n"
                          "Is another process using the image [%s]?",
                          c->path, c->driver->name, c->path);
                return false;
            }
        }
    }
    return true;
}

/* All options of a new target. NULL: it was said. */
static KeyVals *target_options(const Convert *c)
{
    g_autofree char *given = img_options_given(c->args);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(KeyVals) own = img_options_parse(c->driver, given ?: "", "");
    const char *backing = img_get(c->args, "B"), *format = img_get(c->args, "F");

    if (!own) {
        return NULL;
    }
    if (backing) {
        img_options_add(text, "backing_file", backing);
    }
    if (format) {
        img_options_add(text, "backing_fmt", format);
    }
    if (given && *given) {
        g_string_append_printf(text, "%s%s", text->len ? "," : "", given);
    }
    img_options_add_size(text, c->total); /* whatever was given, as in qemu-img */
    return img_options_parse(c->driver, text->str, "");
}

static bool knows_option(const BlockDriver *driver, const char *name)
{
    const NodeOptionInfo *o = driver->create_options;

    while (o && o->name && strcmp(o->name, name)) {
        o++;
    }
    return o && o->name;
}

/* A backing image needs a format of the kind, and a name for its own. */
static bool check_backing(Convert *c, const KeyVals *options)
{
    c->has_backing = keyvals_get(options, "backing_file") != NULL;
    if (c->has_backing && !keyvals_get(options, "backing_fmt")) {
        img_error("Use of backing file requires explicit backing format");
        return false;
    }
    return true;
}

static bool create_target(Convert *c)
{
    g_autoptr(KeyVals) options = NULL;
    g_autoptr(GError) error = NULL;
    bool there = node_is_remote(c->path) ||
                 g_file_test(c->path, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK);

    if (img_has(c->args, "B") && !knows_option(c->driver, "backing_file")) {
        img_error("Backing file not supported for file format '%s'", c->driver->name);
        return false;
    }
    options = target_options(c);
    if (!options || !check_backing(c, options) || !check_sources_apart(c)) {
        return false;
    }
    /* An image of several files names them. */
    if (!there && strcmp(c->driver->name, "vmdk")) {
        c->part = g_strdup_printf("%s.part-%d", c->path, (int)getpid());
    }
    c->made = !there;
    if (!node_create(c->driver, c->part ?: c->path, options, &error)) {
        return fail_target(c, error);
    }
    c->target_zero = !c->has_backing && g_file_test(c->part ?: c->path, G_FILE_TEST_IS_REGULAR);
    return true;
}

static bool open_target(Convert *c)
{
    const char *mode = img_get(c->args, "t");
    NodeOptions options = {
        .format = c->driver->name,
        .direct = img_past_cache(c->args, "t"),
        .unsafe = !mode || !strcmp(mode, "unsafe"),
    };
    g_autoptr(GError) error = NULL;

    if (img_has(c->args, "n")) {
        c->target = img_open(c->args, c->path, c->driver->name, IMG_WRITE | IMG_ONLY_FILE);
        c->target_zero = img_has(c->args, "target-is-zero");
        c->has_backing = c->target && c->target->backing;
    } else {
        if (!create_target(c)) {
            return false;
        }
        options.file = c->part ?: c->path;
        c->target = node_open(&options, &error);
        if (!c->target) {
            return fail_target(c, error);
        }
    }
    if (c->target && c->target->length < c->total) {
        img_error("output file is smaller than input file");
        return false;
    }
    return c->target != NULL;
}

/* The target gets its name, or is removed. */
static bool finish_target(Convert *c, bool ok)
{
    const char *mode = img_get(c->args, "t");

    if (ok && mode && strcmp(mode, "unsafe")) {
        int err = node_flush(c->target);

        ok = !err || !img_error("error while flushing: %s", img_strerror(err));
    }
    ok = img_close(c->target) == 0 && ok;
    if (ok && c->part && rename(c->part, c->path) < 0) {
        img_error("%s: error while renaming: %s", c->path, g_strerror(errno));
        ok = false;
    }
    if (!ok && c->made) {
        unlink(c->part ?: c->path);
    }
    return ok;
}

/* ---- The command ---- */

/* The image of the source's chain that is the target's backing image too; else the one directly behind the source. */
static const BlockNode *find_base(const Convert *c, const BlockNode *top)
{
    const char *name = img_has(c->args, "n") ? NULL : c->target->backing_name;
    g_autofree char *path = name ? node_backing_path(c->path, name) : NULL;

    for (const BlockNode *n = top->backing; path && n; n = n->backing) {
        if (img_same_file(n->name, path)) {
            return n;
        }
    }
    return path ? top->backing : NULL;
}

static bool open_sources(Convert *c)
{
    for (int i = 0; i + 1 < c->args->n_files; i++) {
        Source s = { .node = img_open(c->args, c->args->files[i], img_get(c->args, "f"), 0),
                     .start = c->total };

        if (!s.node) {
            return false;
        }
        g_array_append_val(c->sources, s);
        if (!img_load_snapshot(c->args, s.node)) {
            return false;
        }
        if (s.node->length > NODE_MAX_LENGTH - c->total) {
            img_error("the images together are too large");
            return false;
        }
        c->total += s.node->length;
    }
    return true;
}

static bool parse_numbers(Convert *c)
{
    const char *sparse = img_get(c->args, "S"), *m = img_get(c->args, "m");
    uint64_t n = MIN(8, 2 * g_get_num_processors());

    c->sparse = SPARSE;
    if (sparse && (!img_parse_size(sparse, "buffer size for sparse output", &c->sparse) ||
                   c->sparse > MAX_SPARSE || c->sparse % BLOCK_SECTOR)) {
        img_error("Invalid buffer size for sparse output specified. Valid sizes are multiples of "
                  "%d up to %d. Select 0 to disable sparse detection (fully allocates output).",
                  BLOCK_SECTOR, MAX_SPARSE);
        return false;
    }
    if (m && !img_parse_number(m, 1, MAX_THREADS, &n)) {
        img_error("Invalid number of coroutines. Allowed number of coroutines is between 1 and %d",
                  MAX_THREADS);
        return false;
    }
    c->threads = (unsigned)n;
    return true;
}

static bool refuse_unsupported(const ImgArgs *args)
{
    static const char *const keys[] = { "target-image-opts", NULL };
    static const char *const what[] = { "--target-image-opts: a target given by options" };

    for (unsigned i = 0; keys[i]; i++) {
        if (img_has(args, keys[i])) {
            img_error("%s is not supported", what[i]);
            return false;
        }
    }
    return true;
}

static bool check_arguments(Convert *c)
{
    const ImgArgs *args = c->args;
    const char *format = img_get(args, "O") ?: "raw";

    c->driver = block_driver_find(format);
    if (!c->driver) {
        g_autofree char *text = img_unknown_format("file format", format);

        img_error("%s", text);
    } else if (img_has(args, "n") && img_has(args, "o")) {
        img_error("-o has no effect when skipping image creation");
    } else if (args->n_files < 2) {
        img_error("Must specify image file name");
    } else if (img_has(args, "skip-broken-bitmaps") && !img_has(args, "bitmaps")) {
        img_error("Use of --skip-broken-bitmaps requires --bitmaps");
    } else if (img_has(args, "bitmaps") && args->n_files > 2) {
        img_error("Copying bitmaps only possible with single source");
    } else if (img_has(args, "target-is-zero") && !img_has(args, "n")) {
        img_error("--target-is-zero requires use of -n flag");
    } else if (img_has(args, "C") && (img_has(args, "S") || img_has(args, "c"))) {
        img_error("Cannot enable copy offloading when %s is used",
                  img_has(args, "S") ? "-S" : "-c");
    } else if (img_has(args, "c") && !c->driver->write_compressed) {
        img_error("Compression not supported for this file format");
    } else if (img_has(args, "l") && args->n_files > 2) {
        img_error("No support for concatenating multiple snapshot");
    } else if (img_has(args, "B") && args->n_files > 2) {
        img_error("Having a backing file for the target makes no sense when concatenating "
                  "multiple input images");
    } else {
        c->path = args->files[args->n_files - 1];
        return refuse_unsupported(args) && img_pace_begin(args) && parse_numbers(c);
    }
    return false;
}

/* Before anything is made. */
static bool check_bitmaps(const Convert *c)
{
    const char *compat;
    g_autofree char *given = NULL;
    g_autoptr(KeyVals) options = NULL;

    if (!img_has(c->args, "bitmaps")) {
        return true;
    }
    if (!img_bitmaps_check(source_at(c, 0)->node, img_has(c->args, "skip-broken-bitmaps"))) {
        return false;
    }
    given = img_options_given(c->args);
    options = keyvals_parse(given ? given : "", NULL);
    compat = keyvals_get(options, "compat");
    if (!c->driver->bitmaps || !g_strcmp0(compat, "0.10") || !g_strcmp0(compat, "v2")) {
        img_error("Format driver '%s' does not support bitmaps", c->driver->name);
        return false;
    }
    return true;
}

static bool convert(Convert *c)
{
    bool ok;

    if (!open_sources(c) || !check_bitmaps(c)) {
        return false;
    }
    img_catch_signals();
    ok = open_target(c);
    if (ok) {
        c->compressed |=
            c->target->driver->only_compressed && c->target->driver->only_compressed(c->target);
        c->cluster = img_cluster_size(c->target) ?: (c->compressed ? 65536 : SPARSE);
        c->cluster = c->compressed ? c->cluster
                     : c->salvage  ? BLOCK_SECTOR
                                   : CLAMP(c->cluster, SPARSE, MAX_CLUSTER);
        c->piece = MAX(PIECE, c->cluster);
        c->ordered = !img_has(c->args, "W") && strcmp(c->driver->name, "raw") != 0;
        for (unsigned i = 0; i < c->sources->len && c->has_backing; i++) {
            Source *s = &g_array_index(c->sources, Source, i);

            s->base = find_base(c, s->node);
        }
        ok = copy_all(c) &&
             (!img_has(c->args, "bitmaps") || img_bitmaps_copy(c->target, source_at(c, 0)->node));
    }
    return finish_target(c, ok);
}

int img_convert(const ImgArgs *args)
{
    g_autofree char *given = img_options_given(args);
    Convert c = { .args = args,
                  .compressed = img_has(args, "c"),
                  .salvage = img_has(args, "salvage") };
    bool ok;

    if (img_options_help(given)) {
        const BlockDriver *driver = block_driver_find(img_get(args, "O") ?: "raw");

        return driver ? img_print_create_options(driver, args->n_files > 0)
                      : img_error("Unknown file format '%s'", img_get(args, "O"));
    }
    if (!check_arguments(&c)) {
        return 1;
    }
    c.sources = g_array_new(FALSE, TRUE, sizeof(Source));
    ok = convert(&c);
    for (unsigned i = 0; i < c.sources->len; i++) {
        node_close(g_array_index(c.sources, Source, i).node);
    }
    g_array_free(c.sources, TRUE);
    g_free(c.part);
    if (!ok) {
        img_die_of_signal();
    }
    return !ok;
}

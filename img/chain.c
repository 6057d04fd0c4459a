/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands on chains of images: commit (what is in an image goes into one behind it) and rebase (another image behind it).
 *
 * Neither loses data wherever it is cut short: commit only writes into the image behind what reads so already from the top; rebase first writes
 * into the top what the two images behind it have different, and then changes the name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"

enum { CHUNK = 1 << 20 };

/* ---- commit ---- */

typedef struct Commit {
    const ImgArgs *args;
    BlockNode *top;    /* with the images above the base behind it */
    BlockNode *base;   /* written, with what is behind it */
    char *base_path;   /* where the top has it from */
    char *base_format; /* NULL: found */
} Commit;

/* Opens the images from the top to the one above the base, each for itself, and puts them behind each other. The base has to be opened for
 * writing, which it could not be if the top had it open. */
static bool open_above_base(Commit *c, const char *wanted)
{
    BlockNode *last = c->top;

    for (unsigned n = 0; last->backing_name && n < NODE_MAX_CHAIN; n++) {
        g_autofree char *path = node_backing_path(last->name, last->backing_name);

        /* As a backing file's name: relative to the image that it is behind. */
        g_autofree char *meant = wanted ? node_backing_path(last->name, wanted) : NULL;

        if (!wanted || !strcmp(wanted, last->backing_name) || img_same_file(meant, path)) {
            c->base_path = g_steal_pointer(&path);
            c->base_format = g_strdup(last->backing_format);
            return true;
        }
        last->backing =
            img_open(c->args, path, last->backing_format, IMG_NO_BACKING | IMG_ONLY_FILE);
        if (!last->backing) {
            return false;
        }
        last = last->backing;
    }
    if (wanted) {
        img_error("Did not find '%s' in the backing chain of '%s'", wanted, c->args->files[0]);
    } else {
        img_error("Image does not have a backing file");
    }
    return false;
}

static bool grow_base(Commit *c)
{
    g_autoptr(GError) error = NULL;

    if (c->base->length < c->top->length &&
        !node_truncate(c->base, c->top->length, false, NODE_PREALLOC_OFF, &error)) {
        img_error("Could not resize '%s': %s", c->base_path, img_error_text(error, c->base->name));
        return false;
    }
    return true;
}

/* Whether anything above the base decides; without a node behind the last one nothing else shows that. */
static bool decided(const ImgExtent *e)
{
    return e->flags & NODE_ALLOCATED;
}

static int commit_extent(Commit *c, uint64_t offset, const ImgExtent *e, char *buf)
{
    int err = 0;

    if (!decided(e)) {
        return 0;
    }
    if (e->flags & NODE_ZERO) {
        return node_write_zeroes(c->base, offset, e->bytes, true);
    }
    for (uint64_t at = 0; at < e->bytes && !err; at += CHUNK) {
        uint64_t n = MIN(CHUNK, e->bytes - at);

        img_pace(n);
        err = node_pread(c->top, offset + at, buf, n);
        err = err ? err : node_pwrite(c->base, offset + at, buf, n);
    }
    return err;
}

static bool commit_all(Commit *c)
{
    g_autofree char *buf = g_malloc(CHUNK);
    uint64_t length = c->top->length;
    ImgExtent e;
    int err = 0;

    for (uint64_t offset = 0; offset < length && !err; offset += e.bytes) {
        err = img_extent(c->top, NULL, offset, MIN(length - offset, 64 << 20), &e);
        err = err ? err : commit_extent(c, offset, &e, buf);
        img_progress(err ? offset : offset + e.bytes, length);
    }
    err = err ? err : node_flush(c->base);
    if (err) {
        img_error("Block job failed: %s", img_strerror(err));
    }
    return !err;
}

/* What the image directly behind has now is not kept twice. */
static bool empty_top(Commit *c)
{
    bool keep = img_has(c->args, "d") || img_has(c->args, "b") || !c->top->driver->make_empty;
    int err = keep ? 0 : c->top->driver->make_empty(c->top);

    if (err && err != -ENOTSUP) {
        img_error("Failed to empty %s: %s", c->args->files[0], img_strerror(err));
        return false;
    }
    return true;
}

static bool commit(Commit *c)
{
    const char *wanted = img_get(c->args, "b");
    bool ok;

    c->top =
        img_open(c->args, c->args->files[0], img_get(c->args, "f"), IMG_WRITE | IMG_NO_BACKING);
    if (!c->top || !open_above_base(c, wanted)) {
        return false;
    }
    c->base = img_open(c->args, c->base_path, c->base_format, IMG_WRITE | IMG_ONLY_FILE);
    if (!c->base || !grow_base(c)) {
        return false;
    }
    img_progress_begin(c->args);
    ok = commit_all(c);
    img_progress_end();
    return ok && empty_top(c);
}

int img_commit(const ImgArgs *args)
{
    Commit c = { .args = args };
    bool ok;

    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    if (!img_pace_begin(args)) {
        return 1;
    }
    ok = commit(&c);
    ok = img_close(c.base) == 0 && ok;
    ok = img_close(c.top) == 0 && ok;
    g_free(c.base_path);
    g_free(c.base_format);
    if (ok) {
        img_say(args, "Image committed.\n");
    }
    return !ok;
}

/* ---- rebase ---- */

typedef struct Rebase {
    const ImgArgs *args;
    BlockNode *top;  /* written, with the old images behind it */
    BlockNode *base; /* new; NULL: none */
} Rebase;

static int read_or_zero(BlockNode *node, uint64_t offset, char *buf, uint64_t bytes)
{
    uint64_t there = node && offset < node->length ? MIN(bytes, node->length - offset) : 0;
    int err = there ? node_pread(node, offset, buf, there) : 0;

    memset(buf + there, 0, bytes - there);
    return err;
}

/* The top gets what it would read otherwise from now on. */
static int keep_differences(Rebase *r, uint64_t offset, uint64_t bytes, char *old, char *new)
{
    uint64_t step = img_cluster_size(r->top) ?: 65536, run;
    int err = node_pread(r->top, offset, old, bytes);

    err = err ? err : read_or_zero(r->base, offset, new, bytes);
    for (uint64_t at = 0; at < bytes && !err; at += run) {
        run = MIN(step - (offset + at) % step, bytes - at);
        if (!memcmp(old + at, new + at, run)) {
            continue;
        }
        if (img_zero_run(old + at, run, run, &(uint64_t){ 0 })) {
            err = node_write_zeroes(r->top, offset + at, run, false);
        } else {
            err = node_pwrite(r->top, offset + at, old + at, run);
        }
    }
    return err;
}

static bool copy_differences(Rebase *r)
{
    g_autofree char *old = g_malloc(CHUNK), *new = g_malloc(CHUNK);
    uint64_t length = r->top->length;
    NodeStatus status;
    int err = 0;

    for (uint64_t offset = 0; offset < length && !err; offset += status.bytes) {
        err = node_status(r->top, offset, length - offset, &status);
        if (!err && !(status.flags & NODE_ALLOCATED)) {
            status.bytes = MIN(status.bytes, CHUNK);
            err = keep_differences(r, offset, status.bytes, old, new);
        }
        img_progress(err ? offset : offset + status.bytes, length);
    }
    err = err ? err : node_flush(r->top);
    if (err) {
        img_error("error while rebasing '%s': %s", r->top->name, img_strerror(err));
    }
    return !err;
}

static BlockNode *open_base(const Rebase *r, const char *file, const char *format)
{
    g_autofree char *path = node_backing_path(r->top->name, file);
    NodeOptions options = { .file = path, .format = format, .readonly = true };
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    if (!node_is_remote(path) && !g_file_test(path, G_FILE_TEST_EXISTS)) {
        img_error("Could not open new backing file '%s': Could not open '%s': No such file or "
                  "directory",
                  path, path);
        return NULL;
    }
    node = node_open(&options, &error);
    if (!node) {
        img_error("Could not open new backing file '%s': %s", path, img_error_text(error, path));
    }
    return node;
}

static bool change_name(const Rebase *r, const char *file, const char *format)
{
    g_autoptr(GError) error = NULL;

    if (!r->top->driver->set_backing) {
        img_error("Could not change the backing file to '%s': format '%s' has none", file ?: "",
                  r->top->driver->name);
        return false;
    }
    if (file && !format) {
        img_error("Could not change the backing file to '%s': backing format must be specified",
                  file);
        return false;
    }
    if (!r->top->driver->set_backing(r->top, file, format, &error)) {
        img_error("Could not change the backing file to '%s': %s", file ?: "",
                  img_error_text(error, r->top->name));
        return false;
    }
    return true;
}

static bool rebase(Rebase *r)
{
    bool unsafe = img_has(r->args, "u"), ok = true;
    const char *file = img_get(r->args, "b");

    r->top = img_open(r->args, r->args->files[0], img_get(r->args, "f"),
                      IMG_WRITE | (unsafe ? IMG_NO_BACKING : 0));
    if (!r->top) {
        return false;
    }
    file = file && *file ? file : NULL;
    if (!unsafe && file && !(r->base = open_base(r, file, img_get(r->args, "F")))) {
        return false;
    }
    if (!unsafe && r->top->driver->set_backing) {
        img_progress_begin(r->args);
        ok = copy_differences(r);
        img_progress_end();
    }
    return ok && change_name(r, file, img_get(r->args, "F"));
}

int img_rebase(const ImgArgs *args)
{
    Rebase r = { .args = args };
    bool ok;

    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    if (!img_has(args, "b") && !img_has(args, "u")) {
        return img_usage_error("Must specify backing file (-b) or use unsafe mode (-u)");
    }
    ok = rebase(&r);
    node_close(r.base);
    return img_close(r.top) || !ok;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image that the commands work on: open, close, and opening it again with other options. While it is replaced no request runs (IoImage.lock).
 *
 * -s puts a temporary qcow2 image over it, whose file has no name any more by the time it is used.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "block/options.h"
#include "io/io-priv.h"

IoImage io_image;

/* ---- Modes ---- */

void io_mode_default(IoMode *mode)
{
    *mode = (IoMode){ .unmap = true };
}

bool io_mode_cache(IoMode *mode, const char *name)
{
    return img_parse_cache(name, &mode->direct, &mode->unsafe, &mode->writethrough) ||
           io_fail("Invalid cache option: %s", name);
}

bool io_mode_discard(IoMode *mode, const char *name)
{
    if (!strcmp(name, "unmap") || !strcmp(name, "on")) {
        mode->unmap = true;
    } else if (!strcmp(name, "ignore") || !strcmp(name, "off")) {
        mode->unmap = false;
    } else {
        return io_fail("Invalid discard option: %s", name);
    }
    return true;
}

bool io_mode_aio(const char *name)
{
    static const char *const modes[] = { "threads", "native", "io_uring", NULL };

    return g_strv_contains(modes, name) || io_fail("Invalid aio option: %s", name);
}

/* ---- Opening ---- */

/* A temporary image over @base's file, which is closed. NULL: it was said. */
static BlockNode *put_overlay(BlockNode *base, const IoMode *mode)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "menura-io-XXXXXX", NULL);
    g_autofree char *behind = g_canonicalize_filename(base->name, NULL);
    g_autofree char *options = NULL, *format = g_strdup(base->driver->name);
    g_auto(GStrv) parts = g_strsplit(behind, ",", -1);
    g_autofree char *escaped = g_strjoinv(",,", parts);
    g_autoptr(KeyVals) kv = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t length = base->length;
    BlockNode *node = NULL;
    int fd = mkstemp(path);

    node_close(base);
    if (fd < 0) {
        io_fail("Could not open '%s': %s", path, g_strerror(errno));
        return NULL;
    }
    close(fd);
    options = g_strdup_printf("size=%" G_GUINT64_FORMAT ",backing_file=%s,backing_fmt=%s", length,
                              escaped, format);
    kv = keyvals_parse(options, NULL);
    if (node_create(block_driver_find("qcow2"), path, kv, &error)) {
        NodeOptions o = {
            .file = path, .format = "qcow2", .readonly = mode->readonly, .unsafe = true
        };

        node = img_open_image(&o, &error);
    }
    unlink(path);
    if (!node) {
        io_fail("can't open device %s: %s", behind, error->message);
    }
    return node;
}

/* NULL: it was said, or @error is set. */
static BlockNode *open_node(const IoMode *mode, const char *file, const char *format,
                            const char *options, GError **error)
{
    g_autoptr(NodeDict) dict = options && *options ? img_image_opts(options) : node_dict_new();
    NodeOptions o = { .file = file,
                      .format = format,
                      .readonly = mode->readonly || mode->snapshot,
                      .share = mode->share,
                      .direct = mode->direct,
                      .unsafe = mode->unsafe,
                      .dict = dict };
    BlockNode *node;

    if (mode->copy_on_read && mode->readonly) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "Can't use copy-on-read on read-only device");
        return NULL;
    }
    node = img_open_image(&o, error);
    return node && mode->snapshot ? put_overlay(node, mode) : node;
}

bool io_open_image(const IoMode *mode, const char *file, const char *format, const char *options)
{
    g_autoptr(GError) error = NULL;

    if (io_image.node) {
        return io_fail("file open already, try 'help close'");
    }
    io_image.node = open_node(mode, file, format, options, &error);
    if (!io_image.node) {
        return !error ? false
               : file ? io_fail("can't open device %s: %s", file, error->message)
                      : io_fail("can't open: %s", error->message);
    }
    io_image.mode = *mode;
    io_image.file = g_strdup(file);
    io_image.format = g_strdup(format);
    io_image.options = g_strdup(options);
    return true;
}

void io_close_image(void)
{
    g_autofree char *name = io_image.node ? g_strdup(io_image.node->name) : NULL;
    int err;

    g_rw_lock_writer_lock(&io_image.lock);
    err = node_close(io_image.node);
    if (err) {
        io_fail("Could not write '%s' back: %s", name, img_strerror(err));
    }
    io_image.node = NULL;
    g_clear_pointer(&io_image.file, g_free);
    g_clear_pointer(&io_image.format, g_free);
    g_clear_pointer(&io_image.options, g_free);
    g_rw_lock_writer_unlock(&io_image.lock);
}

bool io_cmd_close(int argc, char **argv)
{
    io_close_image();
    return true;
}

/* ---- open ---- */

/* 1: go on; 0, -1: it was said, and -1: with the command's syntax. */
static int open_option(IoMode *mode, int c, char **options)
{
    switch (c) {
    case 's':
        return mode->snapshot = true;
    case 'C':
        return mode->copy_on_read = true;
    case 'n':
        return io_mode_cache(mode, "none");
    case 'r':
        return mode->readonly = true;
    case 'k':
        return 1;
    case 't':
        return io_mode_cache(mode, optarg);
    case 'd':
        return io_mode_discard(mode, optarg);
    case 'i':
        return io_mode_aio(optarg);
    case 'U':
        return mode->share = true;
    case 'o': {
        char *joined = *options ? g_strconcat(*options, ",", optarg, NULL) : g_strdup(optarg);

        g_free(*options);
        *options = joined;
        return 1;
    }
    default:
        return -1;
    }
}

bool io_cmd_open(int argc, char **argv)
{
    g_autofree char *options = NULL;
    IoMode mode;
    int c, status;

    io_mode_default(&mode);
    while ((c = getopt(argc, argv, "snCro:ki:t:d:U")) != -1) {
        status = open_option(&mode, c, &options);
        if (status <= 0) {
            return status < 0 ? io_usage("open") : false;
        }
    }
    if (optind == argc - 1) {
        return io_open_image(&mode, argv[optind], NULL, options);
    }
    return optind == argc ? io_open_image(&mode, NULL, NULL, options) : io_usage("open");
}

/* ---- reopen ---- */

/* What cannot change may be named as it is. */
static bool check_kept(const NodeDict *dict, const char *key, const char *name, const char *is)
{
    const char *value = node_dict_get(dict, key);

    return !value || !g_strcmp0(value, is) || io_fail("Cannot change the option '%s'", name);
}

static bool check_changes(const NodeDict *dict)
{
    static const char *const names[] = { "node-name", "file.node-name", "backing.node-name" };
    g_autoptr(NodeDict) before =
        io_image.options ? img_image_opts(io_image.options) : node_dict_new();
    const BlockNode *node = io_image.node;

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!check_kept(dict, names[i], "node-name", node_dict_get(before, names[i]))) {
            return false;
        }
    }
    return check_kept(dict, "driver", "driver", node->driver->name) &&
           check_kept(dict, "file.driver", "driver",
                      node->file ? node->file->driver->name : NULL) &&
           check_kept(dict, "backing.driver", "driver",
                      node->backing ? node->backing->driver->name : NULL);
}

/* An option that no driver knows is one that cannot change. */
static void say_why(const GError *error)
{
    const char *option = strstr(error->message, "does not support the option ");

    if (option) {
        io_fail("Cannot change the option %s", option + strlen("does not support the option "));
    } else {
        io_fail("%s", error->message);
    }
}

/* Options of drivers that go back to what they are by themselves when they are not named. */
static bool is_volatile(const char *key)
{
    static const char *const prefixes[] = { "overlap-check",   "cache-",
                                            "l2-cache-",       "pass-discard-",
                                            "refcount-cache-", "lazy-refcounts",
                                            "offset",          "size" };

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(key, prefixes[i])) {
            return true;
        }
    }
    return false;
}

/* @old, but for what is volatile, and @options. g_free() it. */
static char *merge_options(const char *old, const char *options)
{
    g_autoptr(NodeDict) dict = old ? img_image_opts(old) : node_dict_new();
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < node_dict_count(dict); i++) {
        const char *key = node_dict_key(dict, i);
        g_auto(GStrv) parts = g_strsplit(node_dict_get(dict, key), ",", -1);
        g_autofree char *value = g_strjoinv(",,", parts);

        if (!is_volatile(key)) {
            g_string_append_printf(text, "%s%s=%s", text->len ? "," : "", key, value);
        }
    }
    if (options) {
        g_string_append_printf(text, "%s%s", text->len ? "," : "", options);
    }
    return g_string_free(text, FALSE);
}

/* Opens it anew with @mode and @options; the old one comes back if that fails. */
static bool replace(const IoMode *mode, const char *options)
{
    g_autofree char *all = merge_options(io_image.options, options);
    g_autofree char *format = g_strdup(io_image.node->driver->name);
    g_autoptr(GError) error = NULL;
    bool ok;

    g_rw_lock_writer_lock(&io_image.lock);
    node_close(io_image.node);
    io_image.node = open_node(mode, io_image.file, format, all, &error);
    ok = io_image.node != NULL;
    if (ok) {
        io_image.mode = *mode;
        g_free(io_image.options);
        io_image.options = g_steal_pointer(&all);
    } else {
        say_why(error);
        io_image.node = open_node(&io_image.mode, io_image.file, format, io_image.options, NULL);
    }
    g_rw_lock_writer_unlock(&io_image.lock);
    return ok;
}

bool io_cmd_reopen(int argc, char **argv)
{
    IoMode mode = io_image.mode;
    g_autofree char *options = NULL;
    g_autoptr(NodeDict) dict = NULL;
    bool has_access = false, has_cache = false;
    int c;

    while ((c = getopt(argc, argv, "c:o:rw")) != -1) {
        if (c == 'c') {
            has_cache = true;
            if (!io_mode_cache(&mode, optarg)) {
                return false;
            }
        } else if (c == 'o') {
            if (options) {
                return io_usage("reopen");
            }
            options = g_strdup(optarg);
        } else if (c == 'r' || c == 'w') {
            if (has_access) {
                return io_fail("Only one -r/-w option may be given");
            }
            has_access = true;
            mode.readonly = c == 'r';
        } else {
            return io_usage("reopen");
        }
    }
    if (optind != argc) {
        return io_usage("reopen");
    }
    dict = options ? img_image_opts(options) : node_dict_new();
    if (has_access && node_dict_get(dict, "read-only")) {
        return io_fail("Cannot set both -r/-w and 'read-only'");
    }
    if (has_cache &&
        (node_dict_get(dict, "cache.direct") || node_dict_get(dict, "cache.no-flush"))) {
        return io_fail("Cannot set both -c and the cache options");
    }
    return check_changes(dict) && (io_image.mode.snapshot || replace(&mode, options));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening nodes: what is below an image (a file, an export, another image, a filter), the image, and what is behind it, as far as the
 * options and then the image's header name it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "block/block-priv.h"
#include "block/filter.h"
#include "block/nbd-client.h"
#include "block/node.h"
#include "block/options.h"
#include "util/suggest.h"

static const BlockDriver *find_format(const char *file, const char *format, GError **error)
{
    const BlockDriver *driver = block_driver_find(format);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL, *prefix = file ? g_strconcat(file, ": ", NULL) : g_strdup("");

    if (driver) {
        return driver;
    }
    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        g_ptr_array_add(names, (void *)(*d)->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(format, (const char *const *)names->pdata);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%sUnknown driver '%s'%s", prefix, format,
                hint);
    return NULL;
}

/* ---- Nodes ---- */

static void node_free(BlockNode *node)
{
    g_free(node->name);
    g_free(node->backing_name);
    g_free(node->backing_format);
    g_free(node);
}

static BlockNode *node_new(const BlockDriver *driver, const char *name, bool readonly)
{
    BlockNode *node = g_new0(BlockNode, 1);

    node->driver = driver;
    node->name = g_strdup(name);
    node->readonly = readonly;
    return node;
}

static BlockNode *open_protocol(const NodeOptions *options, GError **error)
{
    bool remote = node_is_remote(options->file);
    BlockNode *node =
        node_new(remote ? &block_nbd_driver : &block_file_driver, options->file, options->readonly);

    if (!node->driver->open(node, options, error)) {
        node_free(node);
        return NULL;
    }
    return node;
}

static const BlockDriver *probe_format(BlockNode *file, GError **error)
{
    uint8_t head[NODE_PROBE_BYTES] = { 0 };
    size_t n = (size_t)MIN(file->length, sizeof(head));
    int err = n ? node_pread(file, 0, head, n) : 0;

    if (err) {
        node_fail_errno(file, error, err, "cannot read its first bytes");
        return NULL;
    }
    return block_driver_probe(head, n, file->name);
}

char *node_backing_path(const char *image, const char *backing)
{
    g_autofree char *folder = NULL;

    if (g_path_is_absolute(backing) || g_str_has_prefix(backing, "json:") ||
        node_is_remote(backing) || node_is_remote(image)) {
        return g_strdup(backing);
    }
    folder = g_path_get_dirname(image);
    return !strcmp(folder, ".") && !g_str_has_prefix(image, "./")
               ? g_strdup(backing)
               : g_build_filename(folder, backing, NULL);
}

static BlockNode *open_any(const NodeOptions *given, GError **error);

/* ---- Below and behind ---- */

/* An image that is used as a file. */
static BlockNode *wrap(BlockNode *image)
{
    BlockNode *node;

    if (image->driver->is_protocol) {
        return image;
    }
    node = node_new(&filter_plain_driver, image->name, image->readonly);
    node->file = image;
    filter_update(node);
    return node;
}

/* The node that the options below @prefix say, or the file @name; with no format: its bytes alone. */
static BlockNode *open_below(const NodeOptions *options, const char *prefix, const char *name,
                             GError **error)
{
    g_autoptr(NodeDict) dict = node_dict_take_below(options->dict, prefix);
    NodeOptions below = { .file = name,
                          .readonly = options->readonly,
                          .share = options->share,
                          .direct = options->direct,
                          .unsafe = options->unsafe,
                          .repair = options->repair,
                          .depth = options->depth + 1,
                          .dict = dict };
    g_autoptr(NodeDict) keep = NULL;

    if (node_dict_get(dict, "driver") && !node_is_protocol(node_dict_get(dict, "driver"))) {
        return open_any(&below, error);
    }
    if (!node_dict_get(dict, "driver")) {
        node_dict_set(dict, "driver", "file");
    }
    if (!node_options_resolve(&below, &keep, error)) {
        return NULL;
    }
    if (!below.file) {
        return open_any(&below, error);
    }
    return open_protocol(&below, error);
}

/* In words that say which file it is. */
static bool is_missing(const char *path, GError **error)
{
    if (!path || g_str_has_prefix(path, "json:") || g_str_has_prefix(path, "file:") ||
        g_str_has_prefix(path, "blkdebug:") || node_is_remote(path) || access(path, R_OK) == 0) {
        return false;
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "Could not open '%s': %s",
                path, g_strerror(errno));
    return true;
}

/* What @options say of the image behind @node, over what its header says. */
static bool open_backing(BlockNode *node, const NodeOptions *options, GError **error)
{
    g_autofree char *path = NULL;
    g_autoptr(NodeDict) dict = node_dict_take_below(options->dict, "backing.");
    NodeOptions below = { .format = node->backing_format,
                          .readonly = true,
                          .share = options->share,
                          .direct = options->direct,
                          .depth = options->depth + 1,
                          .dict = dict };
    bool extra = node_dict_count(dict),
         named = node_dict_get(dict, "file.filename") || node_dict_get(dict, "filename") ||
                 node_dict_get(dict, "file.driver") || filter_find(node_dict_get(dict, "driver"));

    if (options->no_backing || (!node->backing_name && !node_dict_count(dict))) {
        return true;
    }
    if (options->depth >= NODE_MAX_CHAIN) {
        return node_fail(node, error,
                         "more than %d images behind each other; does one lie behind itself?",
                         NODE_MAX_CHAIN);
    }
    if (named) {
        below.format = NULL;
    } else if (node->backing_name) {
        path = node_backing_path(node->name, node->backing_name);
        below.file = path;
    }
    node->backing = is_missing(path, error) ? NULL : open_any(&below, error);
    if (!node->backing) {
        g_prefix_error(error, "Could not open backing file: ");
        return false;
    }
    if (extra && !node->driver->backing_opened) {
        return node_fail(node, error, "Block format '%s' does not support the option 'backing'",
                         node->driver->name);
    }
    if (extra) {
        node->driver->backing_opened(node);
    }
    return true;
}

static bool check_taken(const BlockNode *node, const NodeOptions *options, GError **error)
{
    if (!node_dict_count(options->dict)) {
        return true;
    }
    return node_fail(node, error, "Block %s '%s' does not support the option '%s'",
                     node->driver->is_protocol ? "protocol" : "format", node->driver->name,
                     node_dict_key(options->dict, 0));
}

/* ---- All together ---- */

static BlockNode *open_filter(const BlockDriver *driver, const NodeOptions *options, GError **error)
{
    bool debug = driver == &filter_blkdebug_driver;
    bool nothing = g_str_has_prefix(driver->name, "null-");
    const char *name = node_dict_take(options->dict, debug ? "x-image" : "");
    BlockNode *file = nothing ? NULL : open_below(options, debug ? "image." : "file.", name, error);
    BlockNode *node;

    if (!file && !nothing) {
        return NULL;
    }
    node = node_new(driver, file ? file->name : driver->name, options->readonly);
    node->file = file;
    if (!driver->open(node, options, error)) {
        node_close(file);
        node_free(node);
        return NULL;
    }
    if (!check_taken(node, options, error)) {
        node_close(node);
        return NULL;
    }
    return node;
}

static BlockNode *open_file_of(const NodeOptions *options, GError **error)
{
    BlockNode *file;

    if (options->file) {
        return open_protocol(options, error);
    }
    file = open_below(options, "file.", NULL, error);
    return file ? wrap(file) : NULL;
}

static BlockNode *open_format(const NodeOptions *options, GError **error)
{
    const BlockDriver *driver = NULL;
    BlockNode *file, *node;

    if (options->format &&
        !(driver = find_format(options->depth ? NULL : options->file, options->format, error))) {
        return NULL;
    }
    file = open_file_of(options, error);
    if (!file) {
        return NULL;
    }
    if (!driver && !(driver = probe_format(file, error))) {
        node_close(file);
        return NULL;
    }
    node = node_new(driver, file->name, options->readonly);
    node->probed = !options->format;
    node->file = file;
    if (!driver->open(node, options, error)) {
        node_close(file);
        node_free(node);
        return NULL;
    }
    if (!open_backing(node, options, error) || !check_taken(node, options, error)) {
        node_close(node);
        return NULL;
    }
    return node;
}

static BlockNode *open_any(const NodeOptions *given, GError **error)
{
    NodeOptions options = *given;
    g_autoptr(NodeDict) dict = NULL;
    const BlockDriver *filter;

    if (given->depth > NODE_MAX_CHAIN) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "more than %d images below and behind each other", NODE_MAX_CHAIN);
        return NULL;
    }
    if (!node_options_resolve(&options, &dict, error)) {
        return NULL;
    }
    filter = filter_find(options.format);
    return filter ? open_filter(filter, &options, error) : open_format(&options, error);
}

BlockNode *node_open(const NodeOptions *options, GError **error)
{
    return open_any(options, error);
}

int node_close(BlockNode *node)
{
    int err, below;

    if (!node) {
        return 0;
    }
    err = node->driver->close(node);
    below = node_close(node->file);
    node_close(node->backing);
    node_free(node);
    return err ? err : below;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of nodes: the dictionary, JSON, and what they say of a node's file and format. JSON is read by a parser of its own: what is
 * wanted of it is one flat list of strings. What it reads may come out of an image (the name of the image behind it).
 */
#include "block/options.h"
#include <string.h>
#include "block/filter.h"
#include "util/keyval.h"

enum { JSON_DEPTH = 32 };

struct NodeDict {
    GPtrArray *keys, *values;
    GPtrArray *taken; /* kept for who took them */
};

/* ---- The dictionary ---- */

NodeDict *node_dict_new(void)
{
    NodeDict *dict = g_new0(NodeDict, 1);

    dict->keys = g_ptr_array_new_with_free_func(g_free);
    dict->values = g_ptr_array_new();
    dict->taken = g_ptr_array_new_with_free_func(g_free);
    return dict;
}

void node_dict_free(NodeDict *dict)
{
    if (dict) {
        g_ptr_array_foreach(dict->values, (GFunc)(void (*)(void))g_free, NULL);
        g_ptr_array_unref(dict->keys);
        g_ptr_array_unref(dict->values);
        g_ptr_array_unref(dict->taken);
        g_free(dict);
    }
}

unsigned node_dict_count(const NodeDict *dict)
{
    return dict->keys->len;
}

const char *node_dict_key(const NodeDict *dict, unsigned i)
{
    return g_ptr_array_index(dict->keys, i);
}

/* -1: it is not there. */
static int find(const NodeDict *dict, const char *key)
{
    for (unsigned i = 0; i < dict->keys->len; i++) {
        if (!strcmp(node_dict_key(dict, i), key)) {
            return (int)i;
        }
    }
    return -1;
}

static char *remove_at(NodeDict *dict, unsigned i)
{
    g_ptr_array_remove_index(dict->keys, i);
    return g_ptr_array_remove_index(dict->values, i);
}

const char *node_dict_take(NodeDict *dict, const char *key)
{
    int i = find(dict, key);

    if (i < 0) {
        return NULL;
    }
    g_ptr_array_add(dict->taken, remove_at(dict, (unsigned)i));
    return g_ptr_array_index(dict->taken, dict->taken->len - 1);
}

const char *node_dict_get(const NodeDict *dict, const char *key)
{
    int i = find(dict, key);

    return i < 0 ? NULL : g_ptr_array_index(dict->values, i);
}

void node_dict_set(NodeDict *dict, const char *key, const char *value)
{
    node_dict_take(dict, key);
    g_ptr_array_add(dict->keys, g_strdup(key));
    g_ptr_array_add(dict->values, g_strdup(value));
}

NodeDict *node_dict_take_below(NodeDict *dict, const char *prefix)
{
    NodeDict *below = node_dict_new();
    size_t n = strlen(prefix);

    for (unsigned i = 0; i < dict->keys->len;) {
        g_autofree char *key = g_strdup(node_dict_key(dict, i));

        if (!g_str_has_prefix(key, prefix)) {
            i++;
            continue;
        }
        node_dict_set(below, key + n, g_ptr_array_index(dict->values, i));
        g_free(remove_at(dict, i));
    }
    return below;
}

bool node_dict_take_bool(NodeDict *dict, const char *key, bool *value, GError **error)
{
    const char *text = node_dict_take(dict, key);

    if (text && !keyval_parse_bool(text, value)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter '%s' expects 'on' or 'off'", key);
        return false;
    }
    return true;
}

void node_dict_add_keyvals(NodeDict *dict, const KeyVals *options)
{
    for (unsigned i = 0; i < keyvals_count(options); i++) {
        node_dict_set(dict, keyvals_key(options, i), keyvals_value(options, i));
    }
}

/* ---- JSON ---- */

static bool bad_json(GError **error)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "Could not parse the JSON options");
    return false;
}

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* \uXXXX */
static const char *read_unicode(const char *p, GString *text)
{
    unsigned code = 0;

    for (int i = 0; i < 4; i++) {
        if (!g_ascii_isxdigit(p[i])) {
            return NULL;
        }
        code = code * 16 + (unsigned)g_ascii_xdigit_value(p[i]);
    }
    if (!code || (code >= 0xd800 && code < 0xe000)) {
        return NULL;
    }
    g_string_append_unichar(text, code);
    return p + 4;
}

/* Behind the string that begins with the quote at @p; NULL: it is none. */
static const char *read_string(const char *p, GString *text)
{
    static const char escapes[] = "\"\\/'bfnrt", meanings[] = "\"\\/'\b\f\n\r\t";
    char quote = *p++;

    while (*p && *p != quote) {
        const char *escape = *p == '\\' && p[1] ? strchr(escapes, p[1]) : NULL;

        if (escape) {
            g_string_append_c(text, meanings[escape - escapes]);
            p += 2;
        } else if (*p == '\\') {
            p = p[1] == 'u' ? read_unicode(p + 2, text) : NULL;
            if (!p) {
                return NULL;
            }
        } else {
            g_string_append_c(text, *p++);
        }
    }
    return *p ? p + 1 : NULL;
}

static const char *read_value(NodeDict *dict, const char *p, const char *key, unsigned depth);

/* @p: behind the bracket. The members of an array have their number as key. */
static const char *read_members(NodeDict *dict, const char *p, const char *prefix, char bracket,
                                unsigned depth)
{
    char end = bracket == '{' ? '}' : ']';

    p = skip_space(p);
    if (*p == end) {
        return p + 1;
    }
    for (unsigned i = 0;; i++) {
        g_autoptr(GString) name = g_string_new(NULL);
        g_autofree char *key = NULL;

        if (bracket == '[') {
            g_string_printf(name, "%u", i);
        } else {
            p = *p == '"' || *p == '\'' ? read_string(p, name) : NULL;
            p = p ? skip_space(p) : NULL;
            if (!p || *p != ':') {
                return NULL;
            }
            p = skip_space(p + 1);
        }
        key = *prefix ? g_strconcat(prefix, ".", name->str, NULL) : g_strdup(name->str);
        p = read_value(dict, p, key, depth);
        p = p ? skip_space(p) : NULL;
        if (!p || (*p != ',' && *p != end)) {
            return NULL;
        }
        if (*p == end) {
            return p + 1;
        }
        p = skip_space(p + 1);
    }
}

static const char *read_value(NodeDict *dict, const char *p, const char *key, unsigned depth)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (*p == '{' || *p == '[') {
        return depth < JSON_DEPTH ? read_members(dict, p + 1, key, *p, depth + 1) : NULL;
    }
    if (*p == '"' || *p == '\'') {
        p = read_string(p, text);
        if (p) {
            node_dict_set(dict, key, text->str);
        }
        return p;
    }
    g_string_append_len(text, p, (gssize)strcspn(p, ",}] \t\r\n"));
    if (!text->len) {
        return NULL;
    }
    p += text->len;
    node_dict_set(dict, key,
                  !strcmp(text->str, "true")    ? "on"
                  : !strcmp(text->str, "false") ? "off"
                  : !strcmp(text->str, "null")  ? ""
                                                : text->str);
    return p;
}

bool node_dict_add_json(NodeDict *dict, const char *text, GError **error)
{
    const char *p = skip_space(text);

    p = *p == '{' ? read_members(dict, p + 1, "", '{', 0) : NULL;
    return (p && !*skip_space(p)) || bad_json(error);
}

/* ---- Files and formats ---- */

bool node_is_protocol(const char *driver)
{
    static const char *const names[] = { "file", "host_device", "host_cdrom", "nbd", NULL };

    return driver && g_strv_contains(names, driver);
}

/* Puts all of @from below @prefix into @to. */
static void move_below(NodeDict *to, const char *prefix, const NodeDict *from)
{
    for (unsigned i = 0; i < node_dict_count(from); i++) {
        g_autofree char *key = g_strconcat(prefix, node_dict_key(from, i), NULL);

        node_dict_set(to, key, node_dict_get(from, node_dict_key(from, i)));
    }
}

/* The node of a protocol is the raw format over it; a raw format that says nothing more, over something, is that. */
static void flatten(NodeDict *dict)
{
    g_autoptr(NodeDict) all = NULL;

    if (node_is_protocol(node_dict_get(dict, "driver"))) {
        all = node_dict_take_below(dict, "");
        move_below(dict, "file.", all);
        node_dict_set(dict, "driver", "raw");
    }
    while (!g_strcmp0(node_dict_get(dict, "file.driver"), "raw") &&
           !node_dict_get(dict, "file.offset") && !node_dict_get(dict, "file.size")) {
        g_autoptr(NodeDict) below = NULL;

        node_dict_take(dict, "file.driver");
        below = node_dict_take_below(dict, "file.file.");
        move_below(dict, "file.", below);
    }
}

static const char *remote_name(NodeDict *dict, GError **error)
{
    g_autoptr(NodeDict) file = node_dict_take_below(dict, "file.");
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(KeyVals) options = NULL;
    g_autofree char *name = NULL;

    for (unsigned i = 0; i < node_dict_count(file); i++) {
        g_auto(GStrv) parts = g_strsplit(node_dict_get(file, node_dict_key(file, i)), ",", -1);
        g_autofree char *value = g_strjoinv(",,", parts);

        g_string_append_printf(text, "%s%s=%s", i ? "," : "", node_dict_key(file, i), value);
    }
    options = keyvals_parse(text->str, NULL);
    name = node_remote_name(options, "", error);
    if (!name) {
        return NULL;
    }
    node_dict_set(dict, "file.filename", name);
    return node_dict_take(dict, "file.filename");
}

/* NULL and no error: nothing is said of it, or it is no file. */
static const char *file_name(NodeDict *dict, bool named, const char **device, GError **error)
{
    const char *driver = node_dict_get(dict, "file.driver");
    const char *name;

    if (driver && !node_is_protocol(driver)) {
        return NULL;
    }
    driver = node_dict_take(dict, "file.driver");
    *device = driver && g_str_has_prefix(driver, "host_") ? driver : NULL;
    if (!g_strcmp0(driver, "nbd")) {
        return remote_name(dict, error);
    }
    name = node_dict_take(dict, "file.filename");
    if (driver && !name && !named) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "The '%s' block driver requires a file name", driver);
    }
    return name;
}

/* What is accepted of any node, and changes nothing here. */
static bool take_common(NodeOptions *o, NodeDict *dict, GError **error)
{
    static const char *const switches[] = { "auto-read-only",    "cache.writeback",
                                            "file.read-only",    "file.auto-read-only",
                                            "file.cache.direct", "file.cache.no-flush" };
    static const char *const ignored[] = {
        "node-name",      "detect-zeroes",      "discard",
        "file.node-name", "file.aio",           "file.locking",
        "file.discard",   "file.detect-zeroes", "file.cache.writeback"
    };
    bool direct = o->direct, unsafe = o->unsafe, readonly = o->readonly, share = o->share;

    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        bool on;

        if (!node_dict_take_bool(dict, switches[i], &on, error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ignored); i++) {
        node_dict_take(dict, ignored[i]);
    }
    if (!node_dict_take_bool(dict, "read-only", &readonly, error) ||
        !node_dict_take_bool(dict, "force-share", &share, error) ||
        !node_dict_take_bool(dict, "cache.direct", &direct, error) ||
        !node_dict_take_bool(dict, "cache.no-flush", &unsafe, error)) {
        return false;
    }
    o->readonly = readonly;
    o->share = share;
    o->direct = direct;
    o->unsafe = unsafe;
    return true;
}

static bool take_backing(NodeOptions *o, NodeDict *dict, GError **error)
{
    const char *backing = node_dict_take(dict, "backing");

    if (backing && *backing) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Cannot find device='' nor node-name='%s'", backing);
        return false;
    }
    o->no_backing = o->no_backing || backing;
    return true;
}

/* A dictionary of its own of what @o says; false: it is wrong. */
static NodeDict *gather(NodeOptions *o, GError **error)
{
    g_autoptr(NodeDict) dict = node_dict_new();
    g_autoptr(NodeDict) given = o->dict ? node_dict_take_below(o->dict, "") : NULL;

    if (o->file && g_str_has_prefix(o->file, "json:")) {
        if (!node_dict_add_json(dict, o->file + strlen("json:"), error)) {
            return NULL;
        }
        o->file = NULL;
    }
    if (given) {
        move_below(dict, "", given);
    }
    return g_steal_pointer(&dict);
}

/* "blkdebug:CONFIG:FILE" as options. */
static void split_blkdebug(NodeDict *dict, const char *name, bool top)
{
    const char *config = name + strlen("blkdebug:"), *image = strchr(config, ':');
    g_autofree char *config_name = g_strndup(config, image ? (size_t)(image - config) : 0);

    node_dict_set(dict, top ? "config" : "file.config", config_name);
    node_dict_set(dict, top ? "x-image" : "file.x-image", image ? image + 1 : config);
    if (!top) {
        node_dict_set(dict, "file.driver", "blkdebug");
    }
}

/* Where the name of a file belongs. NULL: the options have it now. */
static const char *place_name(NodeDict *dict, const char *name, const char *driver)
{
    bool debug = !g_strcmp0(driver, "blkdebug");
    const char *below = node_dict_get(dict, "file.driver");

    if (!name) {
        return NULL;
    }
    if (g_str_has_prefix(name, "blkdebug:")) {
        split_blkdebug(dict, name, debug);
        return NULL;
    }
    if (debug || !g_strcmp0(below, "blkdebug")) {
        node_dict_set(dict, debug ? "x-image" : "file.x-image", name);
        return NULL;
    }
    if (filter_find(driver) || (below && !node_is_protocol(below))) {
        node_dict_set(dict, "file.filename", name);
        return NULL;
    }
    return name;
}

/* As a path that nobody takes for "PROTOCOL:...". */
static const char *plain_path(NodeDict *dict, const char *path)
{
    g_autofree char *dotted = g_strconcat("./", path, NULL);

    if (path[strcspn(path, ":/")] != ':') {
        return path;
    }
    node_dict_set(dict, "x-path", dotted);
    return node_dict_take(dict, "x-path");
}

/* The file of a format. */
static bool find_file(NodeOptions *o, NodeDict *dict, GError **error)
{
    GError *local = NULL;
    const char *device = NULL;
    const char *name = file_name(dict, o->file != NULL, &device, &local);

    if (local) {
        g_propagate_error(error, local);
        return false;
    }
    o->file = o->file ? o->file : name;
    o->device = device ? device : o->device;
    if (!o->file && !node_dict_get(dict, "file.driver")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "A block device must be specified for \"file\"");
        return false;
    }
    return true;
}

bool node_options_resolve(NodeOptions *o, NodeDict **keep, GError **error)
{
    NodeDict *dict = *keep = gather(o, error);
    const char *driver, *name;

    if (!dict) {
        return false;
    }
    flatten(dict);
    name = node_dict_take(dict, "filename");
    driver = node_dict_take(dict, "driver");
    o->format = driver ? driver : o->format;
    o->file = place_name(dict, o->file ? o->file : name, o->format);
    o->dict = dict;
    if (!filter_find(o->format) && !find_file(o, dict, error)) {
        return false;
    }
    if (o->file && g_str_has_prefix(o->file, "file:")) {
        o->file = plain_path(dict, o->file + strlen("file:"));
    }
    return take_common(o, dict, error) && take_backing(o, dict, error);
}

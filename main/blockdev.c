/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -blockdev: a node of a disk, by name. One that a later one names as its file or backing is part of that; what nobody names becomes a back end
 * with the node's name as id, for -device ...,drive=ID. So a node has one user, and nothing is opened before all is known.
 */
#include "main/system-priv.h"

#include <string.h>
#include "block/options.h"
#include "util/keyval.h"

typedef struct Definition {
    char *name;
    NodeDict *dict;
    bool is_used; /* by another node */
} Definition;

static bool bad(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool bad(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-blockdev: %s", text);
    return false;
}

static void definition_free(void *p)
{
    Definition *d = p;

    g_free(d->name);
    node_dict_free(d->dict);
    g_free(d);
}

static Definition *find(const GPtrArray *all, const char *name)
{
    for (unsigned i = 0; i < all->len; i++) {
        Definition *d = g_ptr_array_index(all, i);

        if (!strcmp(d->name, name)) {
            return d;
        }
    }
    return NULL;
}

/* ---- One node is part of another ---- */

/* The value of such a key is a node's name. */
static bool is_reference(const char *key)
{
    static const char *const names[] = { "file", "backing", "data-file", NULL };
    const char *dot = strrchr(key, '.');

    return g_strv_contains(names, dot ? dot + 1 : key);
}

static bool put_in(Definition *d, const char *key, Definition *part, GError **error)
{
    g_autofree char *where = g_strdup(key); /* lives in the dictionary */

    if (part->is_used) {
        return bad(error, "%s: %s=%s: that node is already used by another", d->name, where,
                   part->name);
    }
    part->is_used = true;
    node_dict_take(d->dict, where);
    for (unsigned i = 0; i < node_dict_count(part->dict); i++) {
        const char *name = node_dict_key(part->dict, i);
        g_autofree char *full = g_strdup_printf("%s.%s", where, name);

        node_dict_set(d->dict, full, node_dict_get(part->dict, name));
    }
    return true;
}

/* @d's references to nodes before it. What they bring along has none left. */
static bool resolve(const GPtrArray *all, Definition *d, GError **error)
{
    for (unsigned i = 0; i < node_dict_count(d->dict);) {
        const char *key = node_dict_key(d->dict, i), *value = node_dict_get(d->dict, key);
        Definition *part;

        if (!is_reference(key) || !*value) { /* backing= without a name: none */
            i++;
            continue;
        }
        part = find(all, value);
        if (!part) {
            return bad(error, "%s: %s=%s: there is no node of that name before this one", d->name,
                       key, value);
        }
        if (!put_in(d, key, part, error)) {
            return false;
        }
    }
    return true;
}

/* ---- Reading ---- */

static Definition *define(const char *text, GError **error)
{
    Definition *d = g_new0(Definition, 1);
    bool ok = true;

    d->dict = node_dict_new();
    if (*text == '{') {
        ok = node_dict_add_json(d->dict, text, error);
        if (!ok) {
            g_prefix_error(error, "-blockdev: ");
        }
    } else {
        g_autoptr(KeyVals) kv = keyvals_parse(text, "driver");

        node_dict_add_keyvals(d->dict, kv);
    }
    d->name = g_strdup(node_dict_take(d->dict, "node-name"));
    if (ok && (!d->name || !*d->name)) {
        ok = bad(error, "%s: node-name= is missing", text);
    }
    if (ok && !node_dict_get(d->dict, "driver")) {
        ok = bad(error, "%s: driver= is missing", d->name);
    }
    if (!ok) {
        definition_free(d);
        return NULL;
    }
    return d;
}

/* A back end's own options, which hold for the image and its file alike; the others are the node's. */
static bool take_options(NodeDict *dict, BlockOptions *block, GError **error)
{
    const char *discard = node_dict_take(dict, "discard");
    const char *zeroes = node_dict_take(dict, "detect-zeroes");
    static const struct {
        const char *key;
        size_t at;
    } switches[] = { { "read-only", offsetof(BlockOptions, readonly) },
                     { "file.read-only", offsetof(BlockOptions, readonly) },
                     { "cache.direct", offsetof(BlockOptions, cache_direct) },
                     { "file.cache.direct", offsetof(BlockOptions, cache_direct) },
                     { "cache.no-flush", offsetof(BlockOptions, cache_unsafe) },
                     { "file.cache.no-flush", offsetof(BlockOptions, cache_unsafe) } };

    if (discard && strcmp(discard, "ignore") && strcmp(discard, "off") &&
        strcmp(discard, "unmap") && strcmp(discard, "on")) {
        return bad(error, "discard=%s: expected ignore or unmap", discard);
    }
    if (zeroes && strcmp(zeroes, "off")) {
        return bad(error, "detect-zeroes=%s: not supported yet (only off is)", zeroes);
    }
    block->aio = drive_find_aio(node_dict_take(dict, "file.aio"));
    block->discard = discard && (!strcmp(discard, "unmap") || !strcmp(discard, "on"));
    for (unsigned i = 0; i < G_N_ELEMENTS(switches); i++) {
        bool on = false;

        if (!node_dict_take_bool(dict, switches[i].key, &on, error)) {
            return false;
        }
        *(bool *)((char *)block + switches[i].at) |= on;
    }
    return true;
}

static bool open_back_end(Definition *d, bool snapshot, GError **error)
{
    BlockOptions block = {
        .id = d->name, .dict = d->dict, .snapshot = snapshot, .on_write_error = BLOCK_ERROR_ENOSPC
    };

    if (!take_options(d->dict, &block, error) || !block_open(&block, error)) {
        g_prefix_error(error, "-blockdev %s: ", d->name);
        return false;
    }
    return true;
}

bool blockdevs_open(const Options *opts, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(definition_free);

    for (unsigned i = 0; i < opts->blockdevs->len; i++) {
        Definition *d = define(g_ptr_array_index(opts->blockdevs, i), error);

        if (!d) {
            return false;
        }
        if (find(all, d->name) || block_find(d->name)) {
            bad(error, "node-name=%s is given twice", d->name);
            definition_free(d);
            return false;
        }
        if (!resolve(all, d, error)) {
            definition_free(d);
            return false;
        }
        g_ptr_array_add(all, d);
    }
    for (unsigned i = 0; i < all->len; i++) {
        Definition *d = g_ptr_array_index(all, i);

        if (!d->is_used && !open_back_end(d, opts->snapshot, error)) {
            return false;
        }
    }
    return true;
}

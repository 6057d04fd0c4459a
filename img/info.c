/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command info: what an image is, for people and for machines, also of all images behind it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "img/img-priv.h"
#include "img/snapshot.h"

typedef struct Details {
    GPtrArray *keys, *values;
} Details;

static void get_details(BlockNode *node, Details *d)
{
    d->keys = g_ptr_array_new_with_free_func(g_free);
    d->values = g_ptr_array_new_with_free_func(g_free);
    if (node->driver->info) {
        node->driver->info(node, d->keys, d->values);
    }
}

/* "compression-type" for machines, where people read "compression type". */
static char *key_text(const char *key)
{
    return g_strdelimit(g_strdup(key), " _", '-');
}

/* Of all its files. False: not known. */
static bool disk_size(BlockNode *node, uint64_t *size)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    struct stat st;

    g_ptr_array_add(names, g_strdup(node->name));
    if (node->driver->files) {
        node->driver->files(node, names);
    }
    *size = 0;
    for (unsigned i = 0; i < names->len; i++) {
        if (stat(g_ptr_array_index(names, i), &st) < 0) {
            return false;
        }
        *size += (uint64_t)st.st_blocks * 512;
    }
    return true;
}

static bool is_dirty(BlockNode *node)
{
    return node->driver->is_dirty && node->driver->is_dirty(node);
}

static void print_human(BlockNode *node)
{
    g_autofree char *size = img_size_text(node->length), *used = NULL, *path = NULL;
    uint64_t bytes;

    printf("image: %s\nfile format: %s\nvirtual size: %s (%" G_GUINT64_FORMAT " bytes)\n",
           node->name, node->driver->name, size, node->length);
    used = disk_size(node, &bytes) ? img_size_text(bytes) : g_strdup("unavailable");
    printf("disk size: %s\n", used);
    if (img_cluster_size(node)) {
        printf("cluster_size: %" G_GUINT64_FORMAT "\n", img_cluster_size(node));
    }
    if (is_dirty(node)) {
        printf("cleanly shut down: no\n");
    }
    if (node->backing_name) {
        path = node_backing_path(node->name, node->backing_name);
        printf("backing file: %s", node->backing_name);
        if (strcmp(path, node->backing_name)) {
            printf(" (actual path: %s)", path);
        }
        putchar('\n');
    }
    if (node->backing_format) {
        printf("backing file format: %s\n", node->backing_format);
    }
    snapshots_print(node);
    img_print_details(node);
}

static void add_snapshots(ImgJson *json, BlockNode *node)
{
    g_autoptr(GPtrArray) list = snapshots_of(node);

    if (!list->len) {
        return;
    }
    json_open(json, "snapshots", '[');
    for (unsigned i = 0; i < list->len; i++) {
        const NodeSnapshot *s = g_ptr_array_index(list, i);

        json_open(json, NULL, '{');
        if (s->icount != UINT64_MAX) {
            json_number(json, "icount", s->icount);
        }
        json_number(json, "vm-clock-nsec", s->vm_clock_ns % 1000000000);
        json_string(json, "name", s->name);
        json_number(json, "date-sec", s->date_sec);
        json_number(json, "date-nsec", s->date_nsec);
        json_number(json, "vm-clock-sec", s->vm_clock_ns / 1000000000);
        json_string(json, "id", s->id);
        json_number(json, "vm-state-size", s->vm_state_size);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* The words of @value; @key ends in "[]". */
static void add_list(ImgJson *json, const char *key, const char *value)
{
    g_autofree char *name = g_strndup(key, strlen(key) - 2);
    g_auto(GStrv) items = g_strsplit(value, " ", 0);

    json_open(json, name, '[');
    for (unsigned i = 0; items[i]; i++) {
        json_string(json, NULL, items[i]);
    }
    json_close(json, ']');
}

/* "LIST/INDEX/NAME" are members of a list's objects, all of which stand together. @before: the words of the key before it, or NULL. */
static void add_detail(ImgJson *json, char **words, char **before, const char *value)
{
    bool in_list = before && before[1], same = in_list && words[1] && !strcmp(words[0], before[0]);
    bool same_object = same && !strcmp(words[1], before[1]);

    if (in_list && !same_object) {
        json_close(json, '}');
    }
    if (in_list && !same) {
        json_close(json, ']');
    }
    if (words[1] && !same) {
        json_open(json, words[0], '[');
    }
    if (words[1] && !same_object) {
        json_open(json, NULL, '{');
    }
    if (words[1] && g_str_has_suffix(words[2], "[]")) {
        add_list(json, words[2], value);
    } else if (words[1] && !strcmp(words[2], "name")) {
        json_string(json, words[2], value);
    } else {
        json_guess(json, words[1] ? words[2] : words[0], value);
    }
}

static void add_details(ImgJson *json, BlockNode *node)
{
    g_auto(GStrv) before = NULL;
    Details d = {};

    get_details(node, &d);
    if (d.keys->len) {
        json_open(json, "format-specific", '{');
        json_string(json, "type", node->driver->name);
        json_open(json, "data", '{');
        for (unsigned i = 0; i < d.keys->len; i++) {
            g_autofree char *key = key_text(g_ptr_array_index(d.keys, i));
            char **words = g_strsplit(key, "/", 3);

            add_detail(json, words, before, g_ptr_array_index(d.values, i));
            g_strfreev(before);
            before = words;
        }
        if (before[1]) {
            json_close(json, '}');
            json_close(json, ']');
        }
        json_close(json, '}');
        json_close(json, '}');
    }
    g_ptr_array_unref(d.keys);
    g_ptr_array_unref(d.values);
}

static void add_json(ImgJson *json, BlockNode *node)
{
    uint64_t bytes;

    json_open(json, NULL, '{');
    if (node->backing_format) {
        json_string(json, "backing-filename-format", node->backing_format);
    }
    add_snapshots(json, node);
    json_number(json, "virtual-size", node->length);
    json_string(json, "filename", node->name);
    if (img_cluster_size(node)) {
        json_number(json, "cluster-size", img_cluster_size(node));
    }
    json_string(json, "format", node->driver->name);
    if (disk_size(node, &bytes)) {
        json_number(json, "actual-size", bytes);
    }
    add_details(json, node);
    if (node->backing_name) {
        g_autofree char *path = node_backing_path(node->name, node->backing_name);

        json_string(json, "full-backing-filename", path);
        json_string(json, "backing-filename", node->backing_name);
    }
    json_bool(json, "dirty-flag", is_dirty(node));
    json_close(json, '}');
}

/* The image behind @node, each opened by itself; NULL with *@failed: it was said why. */
static BlockNode *open_next(const ImgArgs *args, const BlockNode *node, GHashTable *seen,
                            bool *failed)
{
    g_autofree char *path = NULL;
    BlockNode *next;

    if (!img_has(args, "backing-chain") || !node->backing_name) {
        return NULL;
    }
    path = node_backing_path(node->name, node->backing_name);
    if (!g_hash_table_add(seen, g_strdup(path))) {
        img_error("Backing file '%s' creates an infinite loop.", path);
        *failed = true;
        return NULL;
    }
    next = img_open(args, path, node->backing_format, IMG_NO_BACKING | IMG_ONLY_FILE);
    *failed = !next;
    return next;
}

/* All images that are wanted, the first one first; false: it was said why not. */
static bool open_chain(const ImgArgs *args, GPtrArray *nodes)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    BlockNode *node = img_open(args, args->files[0], img_get(args, "f"), IMG_NO_BACKING);
    bool failed = !node;

    if (node) {
        g_hash_table_add(seen, g_strdup(node->name));
    }
    while (node) {
        g_ptr_array_add(nodes, node);
        node = open_next(args, node, seen, &failed);
    }
    return !failed;
}

static void print_json(const GPtrArray *nodes, bool chain)
{
    ImgJson json;

    json_begin(&json);
    if (chain) {
        json_open(&json, NULL, '[');
    }
    for (unsigned i = 0; i < nodes->len; i++) {
        add_json(&json, g_ptr_array_index(nodes, i));
    }
    if (chain) {
        json_close(&json, ']');
    }
    json_end(&json);
}

static void close_node(gpointer node)
{
    img_close(node);
}

int img_info(const ImgArgs *args)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(close_node);
    bool ok;

    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    ok = open_chain(args, nodes);
    if (ok && img_wants_json(args)) {
        print_json(nodes, img_has(args, "backing-chain"));
    } else if (ok) {
        for (unsigned i = 0; i < nodes->len; i++) {
            fputs(i ? "\n" : "", stdout);
            print_human(g_ptr_array_index(nodes, i));
        }
    }
    return !ok;
}

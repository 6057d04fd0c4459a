/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options of new images: what -o said, checked against what the format knows, and the list for -o help.
 */
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"
#include "util/suggest.h"

void img_options_add(GString *text, const char *key, const char *value)
{
    if (text->len) {
        g_string_append_c(text, ',');
    }
    g_string_append_printf(text, "%s=", key);
    for (; *value; value++) {
        g_string_append_printf(text, *value == ',' ? ",," : "%c", *value);
    }
}

void img_options_add_size(GString *text, uint64_t size)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, size);

    img_options_add(text, "size", number);
}

char *img_options_given(const ImgArgs *args)
{
    GString *text = NULL;

    for (unsigned i = 0; i < args->keys->len; i++) {
        if (strcmp(g_ptr_array_index(args->keys, i), "o")) {
            continue;
        }
        if (!text) {
            text = g_string_new(NULL);
        } else if (text->len) {
            g_string_append_c(text, ',');
        }
        g_string_append(text, g_ptr_array_index(args->values, i));
    }
    return text ? g_string_free(text, FALSE) : NULL;
}

bool img_options_help(const char *given)
{
    g_auto(GStrv) words = given ? g_strsplit(given, ",", -1) : NULL;

    return words && (g_strv_contains((const char *const *)words, "help") ||
                     g_strv_contains((const char *const *)words, "?"));
}

static int by_name(const void *a, const void *b)
{
    const NodeOptionInfo *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

bool img_option_is_switch(const char *name)
{
    static const char *const switches[] = {
        "lazy_refcounts", "extended_l2", "data_file_raw",    "compat6", "zeroed_grain",
        "force_size",     "static",      "block_state_zero", "nocow",   NULL
    };

    return g_strv_contains(switches, name);
}

bool img_option_is_size(const char *name)
{
    return strcmp(name, "force_size") &&
           (g_str_has_suffix(name, "size") || !strcmp(name, "extent_size_hint"));
}

/* What stands behind "KEY=" in qemu-img's list. */
static const char *type_of(const NodeOptionInfo *o)
{
    if (img_option_is_switch(o->name)) {
        return "<bool (on/off)>";
    }
    if (!strcmp(o->name, "refcount_bits")) {
        return "<num>";
    }
    return img_option_is_size(o->name) ? "<size>" : "<str>";
}

void img_print_options(const NodeOptionInfo *options)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_new();

    for (const NodeOptionInfo *o = options; o && o->name; o++) {
        g_ptr_array_add(sorted, (void *)o);
    }
    g_ptr_array_sort(sorted, by_name);
    for (unsigned i = 0; i < sorted->len; i++) {
        const NodeOptionInfo *o = g_ptr_array_index(sorted, i);

        g_autofree char *key = g_strconcat(o->name, "=", type_of(o), NULL);

        printf("  %-22s - %s\n", key, o->help);
    }
}

int img_print_create_options(const BlockDriver *driver, bool with_file)
{
    if (!driver->create) {
        return img_error("Format driver '%s' does not support image creation", driver->name);
    }
    if (with_file) {
        printf("Supported options:\n");
    } else {
        printf("Supported %s options:\n", driver->name);
    }
    img_print_options(driver->create_options);
    if (!with_file) {
        printf("\nThe protocol level may support further options.\n"
               "Specify the target filename to include those options.\n");
    }
    return 0;
}

/* The option, or NULL; also "noflag" stands for one. */
static const char *find_option(const char *const *names, const KeyVals *kv, unsigned i)
{
    const char *key = keyvals_key(kv, i);

    if (g_strv_contains(names, key)) {
        return key;
    }
    return keyvals_is_flag(kv, i) && g_str_has_prefix(key, "no") && g_strv_contains(names, key + 2)
               ? key + 2
               : NULL;
}

KeyVals *img_options_parse(const BlockDriver *driver, const char *given, const char *prefix)
{
    g_autoptr(KeyVals) kv = keyvals_parse(given, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GError) error = NULL;

    for (const NodeOptionInfo *o = driver->create_options; o && o->name; o++) {
        g_ptr_array_add(names, (void *)o->name);
    }
    /* Of files: hints to the host, which are not needed. */
    g_ptr_array_add(names, (void *)"extent_size_hint");
    g_ptr_array_add(names, (void *)"nocow");
    g_ptr_array_add(names, NULL);
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);

        if (!find_option((const char *const *)names->pdata, kv, i)) {
            g_autofree char *hint = suggest_text(key, (const char *const *)names->pdata);

            img_error("%sInvalid parameter '%s'%s", prefix, key, hint);
            return NULL;
        }
    }
    if (!keyvals_check(kv, driver->name, (const char *const *)names->pdata, &error)) {
        img_error("%s%s", prefix, error->message);
        return NULL;
    }
    return g_steal_pointer(&kv);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -fsdev and -virtfs: opens the shared folders, and makes the -device texts of the devices that -virtfs brings along. */
#include "main/system-priv.h"

#include <string.h>
#include "fsdev/fsdev.h"
#include "util/keyval.h"

static const char device_model[] = "virtio-9p-pci";

static void append_item(GString *out, const char *key, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    g_autofree char *quoted = g_strjoinv(",,", parts);

    g_string_append_printf(out, "%s%s=%s", out->len ? "," : "", key, quoted);
}

static bool open_one(const char *option, const char *text, GError **error)
{
    if (!fsdev_new(text, error)) {
        g_prefix_error(error, "-%s: ", option);
        return false;
    }
    return true;
}

/* Without an id the tag is it. */
static bool open_virtfs(const char *text, GPtrArray *devices, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(text, "fsdriver");
    const char *tag = keyvals_get(kv, "mount_tag"), *id = keyvals_get(kv, "id");
    g_autoptr(GString) folder = g_string_new(NULL);
    GString *device;

    if (!tag) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-virtfs: %s: mount_tag= is missing", text);
        return false;
    }
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        if (strcmp(keyvals_key(kv, i), "mount_tag") && strcmp(keyvals_key(kv, i), "id")) {
            append_item(folder, keyvals_key(kv, i), keyvals_value(kv, i));
        }
    }
    append_item(folder, "id", id ? id : tag);
    if (!open_one("virtfs", folder->str, error)) {
        return false;
    }
    device = g_string_new(device_model);
    append_item(device, "fsdev", id ? id : tag);
    append_item(device, "mount_tag", tag);
    g_ptr_array_add(devices, g_string_free(device, FALSE));
    return true;
}

bool fsdevs_open(const Options *opts, GPtrArray *devices, GError **error)
{
    for (unsigned i = 0; i < opts->fsdevs->len; i++) {
        if (!open_one("fsdev", g_ptr_array_index(opts->fsdevs, i), error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < opts->virtfses->len; i++) {
        if (!open_virtfs(g_ptr_array_index(opts->virtfses, i), devices, error)) {
            return false;
        }
    }
    return true;
}

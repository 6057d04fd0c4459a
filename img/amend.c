/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command amend: other options for an image that is there. Only qcow2 images can be amended, and of their options only the size;
 * the others that qemu-img amends are refused by name.
 */
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"
#include "util/size.h"

static bool can_amend(const BlockDriver *driver)
{
    return driver->truncate && driver->set_backing && driver->snapshot_create;
}

static bool refuse(const char *key)
{
    static const char *const refused[] = { "compat",    "lazy_refcounts", "refcount_bits",
                                           "data_file", "data_file_raw",  NULL };

    if (g_str_has_prefix(key, "backing_")) {
        img_error("Cannot amend the backing file\nYou can use 'menura-img rebase' instead.");
    } else if (g_strv_contains(refused, key)) {
        img_error("Amending '%s' is not supported", key);
    } else {
        img_error("Invalid parameter '%s'\nThis option is only supported for image creation", key);
    }
    return false;
}

static bool amend(const ImgArgs *args, BlockNode *node, const KeyVals *options)
{
    const char *text = keyvals_get(options, "size");
    g_autoptr(GError) error = NULL;
    uint64_t size;

    for (unsigned i = 0; i < keyvals_count(options); i++) {
        if (strcmp(keyvals_key(options, i), "size")) {
            return refuse(keyvals_key(options, i));
        }
    }
    if (!text) {
        return true;
    }
    if (!size_parse(text, 'b', "size", &size, NULL)) {
        img_error("Parameter 'size' expects a non-negative number below 2^64\n"
                  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                  "and exabytes, respectively.");
        return false;
    }
    img_progress_begin(args);
    if (!node_truncate(node, size, true, NODE_PREALLOC_OFF, &error)) {
        img_progress_end();
        img_error("%s", img_error_text(error, node->name));
        return false;
    }
    img_progress(1, 1);
    img_progress_end();
    return true;
}

/* -o help */
static int print_options(const BlockDriver *driver)
{
    if (!can_amend(driver)) {
        return img_error("Format driver '%s' does not support option amendment", driver->name);
    }
    printf("Amend options for '%s':\n  %-22s - %s\n", driver->name, "size=<size>",
           "Virtual disk size");
    return 0;
}

static int amend_file(const ImgArgs *args, const char *given)
{
    g_autoptr(KeyVals) options = NULL;
    BlockNode *node = img_open(args, args->files[0], img_get(args, "f"), IMG_WRITE);
    bool ok = false;

    if (!node) {
        return 1;
    }
    if (!can_amend(node->driver)) {
        img_error("Format driver '%s' does not support option amendment", node->driver->name);
    } else if (img_options_help(given)) {
        ok = !print_options(node->driver);
    } else {
        options = img_options_parse(node->driver, given, "");
        ok = options && amend(args, node, options);
    }
    return img_close(node) || !ok;
}

int img_amend(const ImgArgs *args)
{
    const BlockDriver *driver = block_driver_find(img_get(args, "f") ?: "");
    g_autofree char *given = img_options_given(args);

    if (!given) {
        return img_usage_error("Must specify options (-o)");
    }
    if (!args->n_files && driver && img_options_help(given)) {
        return print_options(driver);
    }
    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    return amend_file(args, given);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command amend: other options for an image that is there, as far as its format has such (BlockDriver.amend).
 */
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"
#include "util/size.h"

static bool known(const NodeOptionInfo *options, const char *key)
{
    for (; options && options->name; options++) {
        if (!strcmp(options->name, key)) {
            return true;
        }
    }
    return false;
}

/* Its name and format may be given as they are, both. */
static bool check_backing(const BlockNode *node, const KeyVals *options)
{
    const char *file = keyvals_get(options, "backing_file");
    const char *format = keyvals_get(options, "backing_fmt");

    if ((file || format) &&
        (g_strcmp0(file, node->backing_name) || g_strcmp0(format, node->backing_format))) {
        img_error("Cannot amend the backing file\nYou can use '%s rebase' instead.", img_program());
        return false;
    }
    return true;
}

/* In the words of qemu-img. */
static bool check_options(const BlockDriver *driver, const KeyVals *options)
{
    const char *size = keyvals_get(options, "size");
    uint64_t ignored;

    for (unsigned i = 0; i < keyvals_count(options); i++) {
        const char *key = keyvals_key(options, i), *value = keyvals_value(options, i);
        bool on;

        if (!known(driver->amend_options, key)) {
            img_error("Invalid parameter '%s'\nThis option is only supported for image creation",
                      key);
            return false;
        }
        if (img_option_is_switch(key) && !keyval_parse_bool(value, &on)) {
            img_error("Parameter '%s' expects 'on' or 'off'", key);
            return false;
        }
    }
    if (size && !size_parse(size, 'b', "size", &ignored, NULL)) {
        img_error("Parameter 'size' expects a non-negative number below 2^64\n"
                  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                  "and exabytes, respectively.");
        return false;
    }
    return true;
}

static bool amend(const ImgArgs *args, BlockNode *node, const KeyVals *options)
{
    g_autoptr(GError) error = NULL;
    bool ok;

    if (!check_options(node->driver, options) || !check_backing(node, options)) {
        return false;
    }
    img_progress_begin(args);
    ok = node->driver->amend(node, options, img_progress, &error);
    if (ok) {
        img_progress(1, 1);
    }
    img_progress_end();
    if (!ok) {
        img_error("%s", img_error_text(error, node->name));
    }
    return ok;
}

/* -o help */
static int print_options(const BlockDriver *driver)
{
    if (!driver->amend) {
        return img_error("Format driver '%s' does not support option amendment", driver->name);
    }
    printf("Amend options for '%s':\n", driver->name);
    img_print_options(driver->amend_options);
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
    if (!node->driver->amend) {
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

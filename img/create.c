/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that make an image or change its size: create, resize; and bitmap, which is refused.
 */
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"
#include "util/size.h"

/* ---- create ---- */

typedef struct NewImage {
    const BlockDriver *driver;
    const char *file, *size; /* as given; size may be NULL */
    const char *given;       /* by -o, or NULL */
    KeyVals *parsed;         /* the same */
} NewImage;

/* The length of the image behind the new one, which must be there. */
static bool backing_length(const ImgArgs *args, const char *file, const char *backing,
                           const char *format, uint64_t *length)
{
    g_autofree char *path = node_backing_path(file, backing);
    NodeOptions options = { .file = path, .format = format, .readonly = true };
    g_autoptr(GError) error = NULL;
    BlockNode *node = img_open_image(&options, &error);

    if (!node) {
        img_error("%s: %s\nCould not open backing image.", file, error->message);
        return false;
    }
    *length = node->length;
    if (!format) {
        img_error("%s: Backing file specified without backing format\nDetected format of %s.", file,
                  node->driver->name);
    }
    node_close(node);
    return format != NULL;
}

/* What -b, -F and the size add to -o. False: it was said. */
static bool complete(const ImgArgs *args, const NewImage *image, GString *text)
{
    const char *backing = img_get(args, "b"), *format = img_get(args, "F");
    const char *size = keyvals_get(image->parsed, "size");
    uint64_t length = 0;

    if (image->size && size) {
        img_error("%s: The image size must be specified only once", image->file);
        return false;
    }
    backing = backing ? backing : keyvals_get(image->parsed, "backing_file");
    format = format ? format : keyvals_get(image->parsed, "backing_fmt");
    if (backing && !img_has(args, "u") &&
        !backing_length(args, image->file, backing, format, &length)) {
        return false;
    }
    if (image->size && !img_parse_size(image->size, "image size", &length)) {
        return false;
    }
    if (!image->size && !size && (!backing || img_has(args, "u"))) {
        img_error("%s: Image creation needs a size parameter", image->file);
        return false;
    }
    if (!size) {
        img_options_add_size(text, length);
    } else if (!size_parse(size, 'b', "size", &length, NULL)) {
        img_error("%s: Parameter 'size' expects a non-negative number below 2^64\n"
                  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                  "and exabytes, respectively.",
                  image->file);
        return false;
    }
    return true;
}

static bool check_backing(const ImgArgs *args, const NewImage *image)
{
    bool known = false;

    for (const NodeOptionInfo *o = image->driver->create_options; o && o->name; o++) {
        known |= !strcmp(o->name, "backing_file");
    }
    if ((img_has(args, "b") || img_has(args, "F")) && !known) {
        img_error("%s: Backing file not supported for file format '%s'", image->file,
                  image->driver->name);
        return false;
    }
    return true;
}

/* Sizes as numbers, switches as on and off. */
static void say_option(const ImgArgs *args, const char *key, const char *value)
{
    uint64_t size;
    bool on;

    if (img_option_is_size(key) && size_parse(value, 'b', key, &size, NULL)) {
        img_say(args, " %s=%" G_GUINT64_FORMAT, key, size);
    } else if (img_option_is_switch(key) && keyval_parse_bool(value, &on)) {
        img_say(args, " %s=%s", key, on ? "on" : "off");
    } else {
        g_auto(GStrv) parts = g_strsplit(value, ",", -1);
        g_autofree char *doubled = g_strjoinv(",,", parts);

        img_say(args, " %s=%s", key, doubled);
    }
}

/* "Formatting 'x', fmt=raw size=1024 ..." */
static void announce(const ImgArgs *args, const NewImage *image, const KeyVals *kv)
{
    const char *shown = image->driver->create_shown;
    g_auto(GStrv) first = g_strsplit(shown ? shown : "size backing_file backing_fmt", " ", -1);

    img_say(args, "Formatting '%s', fmt=%s", image->file, image->driver->name);
    for (unsigned i = 0; first[i]; i++) {
        char *equals = strchr(first[i], '=');
        const char *value;

        if (equals) {
            *equals = '\0';
        }
        value = keyvals_get(kv, first[i]);
        value = value ? value : equals ? equals + 1 : NULL;
        if (value) {
            say_option(args, first[i], value);
        }
    }
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);

        if (!g_strv_contains((const char *const *)first, key)) {
            say_option(args, key, keyvals_value(kv, i));
        }
    }
    img_say(args, "\n");
}

static int make_image(const ImgArgs *args, const NewImage *image)
{
    g_autofree char *prefix = g_strconcat(image->file, ": ", NULL), *why = NULL;
    g_autoptr(GString) text = g_string_new(image->given ? image->given : "");
    g_autoptr(KeyVals) all = NULL;
    g_autoptr(GError) error = NULL;

    if (!check_backing(args, image) || !complete(args, image, text)) {
        return 1;
    }
    if (img_has(args, "b")) {
        img_options_add(text, "backing_file", img_get(args, "b"));
    }
    if (img_has(args, "F")) {
        img_options_add(text, "backing_fmt", img_get(args, "F"));
    }
    all = img_options_parse(image->driver, text->str, prefix);
    if (!all) {
        return 1;
    }
    announce(args, image, all);
    fflush(stdout);
    if (!node_create(image->driver, image->file, all, &error)) {
        why = img_create_error_text(error, image->file);
        return img_error("%s: %s", image->file, why);
    }
    return 0;
}

int img_create(const ImgArgs *args)
{
    const char *format = img_get(args, "f") ?: "raw";
    g_autofree char *given = img_options_given(args), *prefix = NULL;
    int status;
    NewImage image = { .driver = block_driver_find(format), .given = given };

    if (!args->n_files && !img_options_help(given)) {
        return img_usage_error("Expecting image file name");
    }
    if (args->n_files > 2) {
        return img_usage_error("Unexpected argument: %s", args->files[2]);
    }
    image.file = args->files[0];
    image.size = args->n_files > 1 ? args->files[1] : NULL;
    if (!image.driver) {
        g_autofree char *text = img_unknown_format("file format", format);

        return img_error("%s%s%s", image.file ?: "", image.file ? ": " : "", text);
    }
    if (img_options_help(given)) {
        return img_print_create_options(image.driver, image.file != NULL);
    }
    if (given && (*given == ',' || !*given)) {
        return img_error("Invalid option list: %s", given);
    }
    prefix = g_strconcat(image.file, ": ", NULL);
    image.parsed = img_options_parse(image.driver, given ?: "", prefix);
    status = image.parsed ? make_image(args, &image) : 1;
    keyvals_free(image.parsed);
    return status;
}

/* ---- resize ---- */

static bool parse_prealloc(const char *text, NodePrealloc *prealloc)
{
    static const char *const names[] = {
        [NODE_PREALLOC_OFF] = "off",
        [NODE_PREALLOC_METADATA] = "metadata",
        [NODE_PREALLOC_FALLOC] = "falloc",
        [NODE_PREALLOC_FULL] = "full",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(text, names[i])) {
            *prealloc = (NodePrealloc)i;
            return true;
        }
    }
    img_error("Invalid preallocation mode '%s'", text);
    return false;
}

/* "+1G", "-1G", "5G": the new length. False: it was said. */
static bool new_length(const char *text, uint64_t old, uint64_t *length)
{
    char sign = *text == '+' || *text == '-' ? *text++ : 0;
    g_autoptr(GError) error = NULL;
    uint64_t n;

    if (!size_parse(text, 'b', "size", &n, &error)) {
        img_error("Parameter 'size' expects a non-negative number below 2^64\n"
                  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                  "and exabytes, respectively.");
        return false;
    }
    if (sign == '-' ? n >= old : n > INT64_MAX - (sign ? old : 0) || (!sign && !n)) {
        img_error(sign == '-' || !n ? "New image size must be positive"
                                    : "New image size is too large");
        return false;
    }
    *length = sign == '+' ? old + n : sign == '-' ? old - n : n;
    return true;
}

static int resize(const ImgArgs *args, BlockNode *node, const char *size, NodePrealloc prealloc)
{
    g_autoptr(GError) error = NULL;
    uint64_t length;

    if (!new_length(size, node->length, &length)) {
        return 1;
    }
    if (!node->driver->truncate) {
        return img_error("Image format driver does not support resize");
    }
    if (length <= node->length && prealloc != NODE_PREALLOC_OFF) {
        return img_error("Preallocation can only be used for growing images");
    }
    if (length < node->length && !img_has(args, "shrink")) {
        img_error("Use the --shrink option to perform a shrink operation.");
        return img_error("warning: Shrinking an image will delete all data beyond the shrunken "
                         "image's end. Before performing such an operation, make sure there is no "
                         "important data there.");
    }
    if (!node_truncate(node, length, img_has(args, "shrink"), prealloc, &error)) {
        return img_error("%s", img_error_text(error, node->name));
    }
    return 0;
}

int img_resize(const ImgArgs *args)
{
    NodePrealloc prealloc = NODE_PREALLOC_OFF;
    BlockNode *node;
    int status;

    if (args->n_files != 2) {
        return img_usage_error("Expecting image file name and size");
    }
    if (img_has(args, "preallocation") &&
        !parse_prealloc(img_get(args, "preallocation"), &prealloc)) {
        return 1;
    }
    node = img_open(args, args->files[0], img_get(args, "f"), IMG_WRITE);
    if (!node) {
        return 1;
    }
    status = resize(args, node, args->files[1], prealloc);
    status |= img_close(node);
    if (!status) {
        img_say(args, "Image resized.\n");
    }
    return status;
}

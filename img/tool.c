/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What menura-img and menura-io share: messages, sizes, opening images with qemu's messages.
 */
#include "img/tool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/filter.h"
#include "block/options.h"
#include "util/size.h"
#include "util/suggest.h"

static const char *program = "menura-img";

/* ---- Messages ---- */

void img_set_program(const char *name)
{
    program = name;
    g_set_prgname(name);
}

const char *img_program(void)
{
    return program;
}

static void complain(const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    fprintf(stderr, "%s: %s\n", program, text);
}

int img_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args);
    va_end(args);
    return 1;
}

int img_usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args);
    va_end(args);
    fprintf(stderr, "Try '%s --help' for more information\n", program);
    return 1;
}

const char *img_error_text(const GError *error, const char *file)
{
    size_t n = strlen(file);

    return g_str_has_prefix(error->message, file) && g_str_has_prefix(error->message + n, ": ")
               ? error->message + n + 2
               : error->message;
}

char *img_create_error_text(const GError *error, const char *file)
{
    static const char made[] = "cannot be made: ", lock[] = "is in use";
    const char *text = img_error_text(error, file);

    if (g_str_has_prefix(text, made)) {
        return g_strdup_printf("Could not create '%s': %s", file, text + strlen(made));
    }
    return g_str_has_prefix(text, lock) ? g_strdup_printf("Failed to get \"write\" lock: %s", text)
                                        : g_strdup(text);
}

const char *img_strerror(int err)
{
    return g_strerror(-err);
}

char *img_unknown_format(const char *what, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        g_ptr_array_add(names, (void *)(*d)->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(name, (const char *const *)names->pdata);
    return g_strdup_printf("Unknown %s '%s'%s", what, name, hint);
}

/* ---- Sizes ---- */

char *img_size_text(uint64_t size)
{
    static const char *const units[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
    double value = (double)size;
    unsigned i = 0;

    while (value >= 1000 && i + 1 < G_N_ELEMENTS(units)) {
        value /= 1024;
        i++;
    }
    return g_strdup_printf("%0.3g %sB", value, units[i]);
}

bool img_parse_size(const char *text, const char *what, uint64_t *size)
{
    g_autoptr(GError) error = NULL;

    if (size_parse(text, 'b', what, size, &error) && *size <= INT64_MAX) {
        return true;
    }
    if (!error || strstr(error->message, "too large")) {
        img_error("Invalid %s specified. Must be between 0 and %" G_GINT64_FORMAT ".", what,
                  INT64_MAX);
    } else {
        img_error("Invalid %s specified. You may use k, M, G, T, P or E suffixes for", what);
        img_error("kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.");
    }
    return false;
}

bool img_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    uint64_t v;

    if (!keyval_parse_uint(text, &v) || v < min || v > max) {
        return false;
    }
    *value = v;
    return true;
}

/* ---- Opening ---- */

NodeDict *img_image_opts(const char *text)
{
    g_autoptr(KeyVals) options = keyvals_parse(text, NULL);
    NodeDict *dict = node_dict_new();

    node_dict_add_keyvals(dict, options);
    return dict;
}

bool img_parse_cache(const char *mode, bool *direct, bool *unsafe, bool *writethrough)
{
    static const struct {
        const char *name;
        bool direct, unsafe, writethrough;
    } modes[] = { { "none", true, false, false },      { "off", true, false, false },
                  { "directsync", true, false, true }, { "writeback", false, false, false },
                  { "unsafe", false, true, false },    { "writethrough", false, false, true } };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (!strcmp(mode, modes[i].name)) {
            *direct = modes[i].direct;
            *unsafe = modes[i].unsafe;
            *writethrough = modes[i].writethrough;
            return true;
        }
    }
    return false;
}

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool fail(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, text);
    return false;
}

/* "x:y" that is no path and no protocol either. */
static bool is_foreign(const char *file)
{
    size_t n = strcspn(file, ":/");

    return file[n] == ':' && !node_is_remote(file);
}

static bool check_device(const NodeOptions *o, GError **error)
{
    struct stat st;

    if (stat(o->file, &st) < 0 || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        return true;
    }
    return S_ISDIR(st.st_mode) && !o->readonly
               ? fail(error, "Could not open '%s': %s", o->file, g_strerror(EISDIR))
               : fail(error, "'%s' driver requires '%s' to be either a character or block device",
                      o->device, o->file);
}

/* The errors that have words of qemu's own. @o is resolved. */
static bool check_file(const NodeOptions *o, GError **error)
{
    bool known = !o->format || block_driver_find(o->format) || filter_find(o->format);
    const char *file = o->file;
    struct stat st;
    int fd;

    if (!known) {
        g_autofree char *text = img_unknown_format("driver", o->format);

        return fail(error, "%s", text);
    }
    if (!file || node_is_remote(file)) {
        return true;
    }
    if (!*file) {
        return fail(error, "The 'file' block driver requires a file name");
    }
    fd = open(file, (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && is_foreign(file)) {
        return fail(error, "Unknown protocol '%.*s'", (int)strcspn(file, ":"), file);
    }
    if (fd < 0 && errno != EISDIR) {
        return fail(error, "Could not open '%s': %s", file, g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    if (o->device) {
        return check_device(o, error);
    }
    if (stat(file, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        return S_ISDIR(st.st_mode) && !o->readonly
                   ? fail(error, "Could not open '%s': %s", file, g_strerror(EISDIR))
                   : fail(error, "'file' driver requires '%s' to be a regular file", file);
    }
    return true;
}

static void warn_probed(const char *file)
{
    fprintf(stderr,
            "WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
            "         Automatically detecting the format is dangerous for raw images, write "
            "operations on block 0 will be restricted.\n"
            "         Specify the 'raw' format explicitly to remove the restrictions.\n",
            file);
}

/* It was given a format that its first bytes have nothing of. */
static bool is_other_format(const char *file, const char *format)
{
    const BlockDriver *driver = format ? block_driver_find(format) : NULL;
    uint8_t head[NODE_PROBE_BYTES];
    FILE *f = file && driver && driver->probe ? fopen(file, "re") : NULL;
    size_t n = f ? fread(head, 1, sizeof(head), f) : 0;

    if (f) {
        fclose(f);
    }
    return f && !driver->probe(head, n, file);
}

/* What node_open() said of @o, in qemu's words. */
static void translate(const NodeOptions *o, const char *name, const GError *said, GError **error)
{
    if (is_other_format(o->file, o->format)) {
        if (!strcmp(o->format, "qed")) {
            fail(error, "Image not in QED format");
        } else {
            fail(error, "Image is not in %s format", o->format);
        }
    } else {
        bool locked = g_error_matches(said, G_FILE_ERROR, G_FILE_ERROR_AGAIN);

        fail(error, "%s%s",
             !locked       ? ""
             : o->readonly ? "Failed to get shared \"write\" lock: "
                           : "Failed to get \"write\" lock: ",
             img_error_text(said, name));
    }
}

/* The file at the bottom. */
static const char *file_of(const NodeOptions *o)
{
    static const char *const keys[] = {
        "x-image",       "file.x-image",        "image.filename",
        "file.filename", "file.image.filename", "file.file.filename"
    };
    const char *name = o->file;

    for (unsigned i = 0; !name && i < G_N_ELEMENTS(keys); i++) {
        name = node_dict_get(o->dict, keys[i]);
    }
    return name ? name : "";
}

BlockNode *img_open_image(const NodeOptions *options, GError **error)
{
    NodeOptions o = *options;
    g_autoptr(NodeDict) dict = NULL;
    g_autoptr(GError) said = NULL;
    g_autofree char *name = NULL;
    BlockNode *node;

    if (!node_options_resolve(&o, &dict, error) || !check_file(&o, error)) {
        return NULL;
    }
    name = g_strdup(file_of(&o));
    node = node_open(&o, &said);
    if (!node) {
        translate(&o, name, said, error);
    } else if (node->probed && !o.readonly && !strcmp(node->driver->name, "raw")) {
        warn_probed(node->name);
    }
    return node;
}

/* ---- What the format says ---- */

uint64_t img_cluster_size(BlockNode *node)
{
    return node->driver->cluster_size ? node->driver->cluster_size(node) : 0;
}

/* The words of @value, as a list of the name of @key, which ends in "[]". */
static void print_list(const char *key, const char *value)
{
    g_auto(GStrv) items = g_strsplit(value, " ", 0);

    printf("            %.*s:\n", (int)strlen(key) - 2, key);
    for (unsigned i = 0; items[i]; i++) {
        printf("                [%u]: %s\n", i, items[i]);
    }
}

/* "NAME", or "LIST/INDEX/NAME"; @last: the one before it, or NULL. */
static void print_detail(const char *key, const char *last, const char *value)
{
    g_autofree char *text = g_strdelimit(g_strdup(key), "-_", ' ');
    g_auto(GStrv) words = g_strsplit(text, "/", 3), before = g_strsplit(last ?: "", "/", 3);
    bool same_list = words[1] && before[0] && before[1] && !strcmp(words[0], before[0]);

    if (!words[1]) {
        printf("    %s: %s\n", text, value);
        return;
    }
    if (!same_list) {
        printf("    %s:\n", words[0]);
    }
    if (!same_list || strcmp(words[1], before[1]) != 0) {
        printf("        [%s]:\n", words[1]);
    }
    if (g_str_has_suffix(words[2], "[]")) {
        print_list(words[2], value);
    } else {
        printf("            %s: %s\n", words[2], value);
    }
}

void img_print_details(BlockNode *node)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);

    if (node->driver->info) {
        node->driver->info(node, keys, values);
    }
    if (keys->len) {
        printf("Format specific information:\n");
    }
    for (unsigned i = 0; i < keys->len; i++) {
        print_detail(g_ptr_array_index(keys, i), i ? g_ptr_array_index(keys, i - 1) : NULL,
                     g_ptr_array_index(values, i));
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all commands need: messages, sizes, the progress line, signals, opening images with qemu-img's messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "img/img-priv.h"
#include "util/size.h"
#include "util/suggest.h"

static const char *program = "menura-img";
static volatile sig_atomic_t caught, show_now;
static bool progress_shown;
static double progress_last;
static uint64_t pace_rate, pace_sum; /* 0: as fast as it goes; bytes */
static gint64 pace_begin;

/* ---- Messages ---- */

void img_set_program(const char *name)
{
    program = name;
}

static void complain(const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    fflush(stdout);
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

void img_say(const ImgArgs *args, const char *format, ...)
{
    va_list list;

    if (!img_has(args, "q")) {
        va_start(list, format);
        vprintf(format, list);
        va_end(list);
    }
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

/* ---- Progress ---- */

static void note_usr1(int sig)
{
    show_now = 1;
}

void img_progress_begin(const ImgArgs *args)
{
    struct sigaction action = { .sa_handler = note_usr1, .sa_flags = SA_RESTART };

    progress_shown = img_has(args, "p") && !img_has(args, "q");
    sigaction(SIGUSR1, &action, NULL);
    progress_last = -100;
    img_progress(0, 1);
}

void img_progress(uint64_t done, uint64_t total)
{
    double percent = total ? 100.0 * (double)done / (double)total : 100;

    if (progress_shown ? percent - progress_last >= 1 || done == total : show_now) {
        fprintf(progress_shown ? stdout : stderr, "    (%3.2f/100%%)%c", percent,
                progress_shown ? '\r' : '\n');
        fflush(stdout);
        progress_last = percent;
        show_now = 0;
    }
}

void img_progress_end(void)
{
    if (progress_shown) {
        putchar('\n');
    }
    progress_shown = false;
}

/* ---- Pace ---- */

bool img_pace_begin(const ImgArgs *args)
{
    const char *rate = img_get(args, "r");

    pace_begin = g_get_monotonic_time();
    return !rate || img_parse_size(rate, "rate limit", &pace_rate);
}

void img_pace(uint64_t bytes)
{
    uint64_t sum = __atomic_add_fetch(&pace_sum, bytes, __ATOMIC_RELAXED);

    while (pace_rate && !caught) {
        gint64 early = pace_begin + (gint64)((double)sum / (double)pace_rate * G_USEC_PER_SEC) -
                       g_get_monotonic_time();

        if (early <= 0) {
            return;
        }
        g_usleep((gulong)MIN(early, G_USEC_PER_SEC / 10));
    }
}

/* ---- Signals ---- */

static void note_signal(int sig)
{
    caught = sig;
}

void img_catch_signals(void)
{
    struct sigaction action = { .sa_handler = note_signal, .sa_flags = SA_RESTART };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

bool img_interrupted(void)
{
    return caught != 0;
}

void img_die_of_signal(void)
{
    if (caught) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}

/* ---- Opening ---- */

/* --image-opts: "driver=qcow2,file.filename=x". False: it was said. */
static bool parse_image_opts(const char *text, char **file, char **format)
{
    static const char *const keys[] = { "driver",           "file.driver",
                                        "file.filename",    "read-only",
                                        "filename",         "file.host",
                                        "file.port",        "file.path",
                                        "file.export",      "file.server.host",
                                        "file.server.port", "file.server.path",
                                        "file.server.type", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, NULL);
    g_autoptr(GError) error = NULL;
    const char *driver, *name;

    if (!keyvals_check(kv, "--image-opts", keys, &error)) {
        img_error("Could not open '%s': %s", text, error->message);
        return false;
    }
    driver = keyvals_get(kv, "driver");
    if (!g_strcmp0(keyvals_get(kv, "file.driver"), "nbd")) {
        *file = node_remote_name(kv, "file.", &error);
        *format = g_strdup(driver);
        if (!*file) {
            img_error("Could not open '%s': %s", text, error->message);
        }
        return *file != NULL;
    }
    name = keyvals_get(kv, "file.filename");
    name = name ? name : keyvals_get(kv, "filename");
    if (!name || g_strcmp0(keyvals_get(kv, "file.driver") ?: "file", "file")) {
        img_error("Could not open '%s': only driver=FORMAT,file.filename=FILE is supported", text);
        return false;
    }
    *file = g_strdup(name);
    *format = g_strdup(g_strcmp0(driver, "file") ? driver : "raw");
    return true;
}

/* The errors that have words of qemu-img's own. */
static bool check_file(const char *file, const char *format, unsigned flags)
{
    int fd;

    if (format && !block_driver_find(format)) {
        g_autofree char *text = img_unknown_format("driver", format);

        img_error("Could not open '%s': %s", file, text);
        return false;
    }
    if (node_is_remote(file)) {
        return true;
    }
    if (!*file) {
        img_error("Could not open '': The 'file' block driver requires a file name");
        return false;
    }
    fd = open(file, (flags & IMG_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != EISDIR) {
        img_error("Could not open '%s': Could not open '%s': %s", file, file, g_strerror(errno));
        return false;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (g_file_test(file, G_FILE_TEST_IS_DIR)) {
        img_error("Could not open '%s': 'file' driver requires '%s' to be a regular file", file,
                  file);
        return false;
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

bool img_past_cache(const ImgArgs *args, const char *key)
{
    const char *mode = img_get(args, key);

    return mode && (!strcmp(mode, "none") || !strcmp(mode, "off") || !strcmp(mode, "directsync"));
}

/* It was given a format that its first bytes have nothing of. */
static bool is_other_format(const char *file, const char *format)
{
    const BlockDriver *driver = format ? block_driver_find(format) : NULL;
    uint8_t head[NODE_PROBE_BYTES];
    FILE *f = driver && driver->probe ? fopen(file, "re") : NULL;
    size_t n = f ? fread(head, 1, sizeof(head), f) : 0;

    if (f) {
        fclose(f);
    }
    return f && !driver->probe(head, n, file);
}

static BlockNode *open_file(const ImgArgs *args, const char *file, const char *format,
                            unsigned flags)
{
    NodeOptions options = { .file = file,
                            .format = format,
                            .readonly = !(flags & IMG_WRITE),
                            .no_backing = flags & IMG_NO_BACKING,
                            .share = !(flags & IMG_WRITE) && img_has(args, "U"),
                            .direct = img_past_cache(args, flags & IMG_WRITE ? "t" : "T"),
                            .repair = flags & IMG_REPAIR };
    g_autoptr(GError) error = NULL;
    BlockNode *node;

    if (!check_file(file, format, flags)) {
        return NULL;
    }
    node = node_open(&options, &error);
    if (!node && is_other_format(file, format)) {
        img_error("Could not open '%s': Image is not in %s format", file, format);
    } else if (!node) {
        bool locked = g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN);

        img_error("Could not open '%s': %s%s", file,
                  !locked             ? ""
                  : flags & IMG_WRITE ? "Failed to get \"write\" lock: "
                                      : "Failed to get shared \"write\" lock: ",
                  img_error_text(error, file));
    } else if (node->probed && flags & IMG_WRITE && !strcmp(node->driver->name, "raw")) {
        warn_probed(file);
    }
    return node;
}

BlockNode *img_open(const ImgArgs *args, const char *file, const char *format, unsigned flags)
{
    g_autofree char *named_file = NULL, *named_format = NULL;

    if (flags & IMG_ONLY_FILE || !img_has(args, "image-opts")) {
        return open_file(args, file, format, flags);
    }
    return parse_image_opts(file, &named_file, &named_format)
               ? open_file(args, named_file, named_format, flags)
               : NULL;
}

bool img_load_snapshot(const ImgArgs *args, BlockNode *node)
{
    const char *given = img_get(args, "l"), *name = given;
    g_autoptr(KeyVals) kv = given ? keyvals_parse(given, "snapshot.name") : NULL;
    g_autoptr(GError) error = NULL;

    if (!given) {
        return true;
    }
    if (g_str_has_prefix(given, "snapshot.")) {
        name = keyvals_get(kv, "snapshot.id");
        name = name ? name : keyvals_get(kv, "snapshot.name");
    }
    if (!name) {
        img_error("Failed in parsing snapshot param '%s'", given);
        return false;
    }
    if (!node->driver->snapshot_load) {
        img_error("Failed to load snapshot: Block format '%s' does not support temporarily loading "
                  "internal snapshots",
                  node->driver->name);
        return false;
    }
    if (!node->driver->snapshot_load(node, name, &error)) {
        img_error("Failed to load snapshot: %s", img_error_text(error, node->name));
        return false;
    }
    return true;
}

int img_close(BlockNode *node)
{
    g_autofree char *name = node ? g_strdup(node->name) : NULL;
    int err = node_close(node);

    return err ? img_error("Could not write '%s' back: %s", name, img_strerror(err)) : 0;
}

uint64_t img_cluster_size(BlockNode *node)
{
    return node->driver->cluster_size ? node->driver->cluster_size(node) : 0;
}

bool img_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

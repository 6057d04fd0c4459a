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
#include "block/options.h"
#include "img/img-priv.h"
#include "util/size.h"
#include "util/suggest.h"

static volatile sig_atomic_t caught, show_now;
static bool progress_shown;
static double progress_last;
static uint64_t pace_rate, pace_sum; /* 0: as fast as it goes; bytes */
static gint64 pace_begin;

/* ---- Messages ---- */

void img_say(const ImgArgs *args, const char *format, ...)
{
    va_list list;

    if (!img_has(args, "q")) {
        va_start(list, format);
        vprintf(format, list);
        va_end(list);
    }
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

    if (progress_shown ? percent - progress_last >= 1 || percent < progress_last || done == total
                       : show_now) {
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

bool img_past_cache(const ImgArgs *args, const char *key)
{
    const char *mode = img_get(args, key);

    return mode && (!strcmp(mode, "none") || !strcmp(mode, "off") || !strcmp(mode, "directsync"));
}

BlockNode *img_open(const ImgArgs *args, const char *file, const char *format, unsigned flags)
{
    bool opts = !(flags & IMG_ONLY_FILE) && img_has(args, "image-opts");
    g_autoptr(NodeDict) dict = opts ? img_image_opts(file) : NULL;
    NodeOptions options = { .file = opts ? NULL : file,
                            .format = format,
                            .dict = dict,
                            .readonly = !(flags & IMG_WRITE),
                            .no_backing = flags & IMG_NO_BACKING,
                            .share = !(flags & IMG_WRITE) && img_has(args, "U"),
                            .direct = img_past_cache(args, flags & IMG_WRITE ? "t" : "T"),
                            .repair = flags & IMG_REPAIR };
    g_autoptr(GError) error = NULL;
    BlockNode *node = img_open_image(&options, &error);

    if (!node) {
        img_error("Could not open '%s': %s", file, error->message);
    }
    return node;
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

bool img_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

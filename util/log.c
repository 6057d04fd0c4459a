/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log; see log.h. One lock orders lines and guards file and filter; it is never taken for a class that is off. The filter
 * is an immutable array behind a pointer (none, or an empty one: all addresses): a reader that runs while it is replaced sees the
 * old or the new one, so old ones stay allocated (a person types a handful in a session).
 */
#include "util/log.h"

#include <errno.h>
#include <gio/gio.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/suggest.h"

enum { MAX_COMPLAINTS = 10000 };

typedef struct LogRange {
    uint64_t first, last;
} LogRange;

typedef struct LogFilter {
    struct LogFilter *old; /* the one it replaced */
    unsigned n;
    LogRange ranges[];
} LogFilter;

static const struct {
    const char *name;
    uint32_t mask;
    const char *help;
} items[] = {
    { "in_asm", LOG_IN_ASM, "guest code of each block as it is translated" },
    { "ir", LOG_IR, "IR of each block as built" },
    { "ir_opt", LOG_IR_OPT, "IR of each block after the passes" },
    { "out_asm", LOG_OUT_ASM, "host code of each block" },
    { "int", LOG_INT, "exceptions and interrupts taken" },
    { "exec", LOG_EXEC, "each block that the run loop enters" },
    { "cpu", LOG_CPU, "registers with each line of exec" },
    { "mmu", LOG_MMU, "page table walks and TLB flushes" },
    { "pcall", LOG_PCALL, "changes of privilege by call and return" },
    { "cpu_reset", LOG_RESET, "resets and power-off, with the registers" },
    { "unimp", LOG_UNIMP, "what the guest uses and Menura does not have" },
    { "guest_errors", LOG_GUEST_ERRORS, "what the guest does that the architecture calls wrong" },
    { "page", LOG_PAGE, "the memory map when it changes" },
    { "nochain", LOG_NOCHAIN, "do not link blocks, so that exec shows every one" },
};

uint32_t log_mask;

static GMutex lock;
static FILE *file; /* NULL: standard error */
static LogFilter *filter;
static unsigned n_complaints;

void log_set_mask(uint32_t mask)
{
    __atomic_store_n(&log_mask, mask, __ATOMIC_RELAXED);
}

static uint32_t find_item(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        if (!strcmp(items[i].name, name)) {
            return items[i].mask;
        }
    }
    return 0;
}

static char *suggest_item(const char *name)
{
    const char *names[G_N_ELEMENTS(items) + 3];
    unsigned n = 0;

    for (; n < G_N_ELEMENTS(items); n++) {
        names[n] = items[n].name;
    }
    names[n++] = "all";
    names[n++] = "none";
    names[n] = NULL;
    return suggest_text(name, names);
}

bool log_parse_items(const char *text, uint32_t *mask, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    uint32_t result = 0;

    for (char **w = words; *w; w++) {
        bool off = **w == '-';
        const char *name = *w + off;
        uint32_t bits = !strcmp(name, "all") ? LOG_ALL & ~LOG_NOCHAIN : find_item(name);

        if (!strcmp(name, "none") && !off) {
            result = 0;
        } else if (bits) {
            result = off ? result & ~bits : result | bits;
        } else {
            g_autofree char *hint = suggest_item(name);

            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "-d: unknown log item '%s'%s", name, hint);
            return false;
        }
    }
    *mask = result;
    return true;
}

bool log_set_items(const char *text, GError **error)
{
    uint32_t mask;

    if (!log_parse_items(text, &mask, error)) {
        return false;
    }
    log_set_mask(mask);
    return true;
}

void log_list_items(GString *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_string_append_printf(out, "%-15s %s\n", items[i].name, items[i].help);
    }
    g_string_append_printf(out, "%-15s %s\n%-15s %s\n", "all", "everything above but nochain",
                           "none", "nothing");
}

/* ---- -dfilter ---- */

static bool read_number(const char **pos, uint64_t *value)
{
    char *end;

    if (!g_ascii_isdigit(**pos)) {
        return false;
    }
    errno = 0;
    *value = g_ascii_strtoull(*pos, &end, 0);
    if (errno) {
        return false;
    }
    *pos = end;
    return true;
}

/* START..END, START+SIZE or START-SIZE; the last byte must be an address. */
static bool parse_range(const char *text, LogRange *range)
{
    uint64_t start, other;
    char how;

    if (!read_number(&text, &start)) {
        return false;
    }
    how = *text;
    text += g_str_has_prefix(text, "..") ? 2 : how == '+' || how == '-';
    if (!read_number(&text, &other) || *text) {
        return false;
    }
    switch (how) {
    case '.':
        *range = (LogRange){ start, other };
        return start <= other;
    case '+':
        *range = (LogRange){ start, start + (other - 1) };
        return other && range->last >= start;
    case '-':
        *range = (LogRange){ start - (other - 1), start };
        return other && range->first <= start;
    default:
        return false;
    }
}

bool log_set_filter(const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text ? text : "", ",", -1);
    unsigned n = g_strv_length(words);
    LogFilter *new_filter = g_malloc0(sizeof(LogFilter) + n * sizeof(LogRange));

    for (unsigned i = 0; i < n; i++) {
        if (!parse_range(words[i], &new_filter->ranges[new_filter->n++])) {
            g_set_error(
                error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "-dfilter: '%s' is not a range (write START..END, START+SIZE or START-SIZE)",
                words[i]);
            g_free(new_filter);
            return false;
        }
    }
    g_mutex_lock(&lock);
    new_filter->old = filter;
    __atomic_store_n(&filter, new_filter, __ATOMIC_RELEASE);
    g_mutex_unlock(&lock);
    return true;
}

bool log_in_filter(uint64_t addr)
{
    const LogFilter *f = __atomic_load_n(&filter, __ATOMIC_ACQUIRE);

    if (!f || !f->n) {
        return true;
    }
    for (unsigned i = 0; i < f->n; i++) {
        if (addr >= f->ranges[i].first && addr <= f->ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* ---- Where it goes ---- */

static char *expand_name(const char *name)
{
    const char *mark = strstr(name, "%d");

    return mark ? g_strdup_printf("%.*s%ld%s", (int)(mark - name), name, (long)getpid(), mark + 2)
                : g_strdup(name);
}

static void replace_file(FILE *new_file)
{
    g_mutex_lock(&lock);
    if (file) {
        fclose(file);
    }
    file = new_file;
    g_mutex_unlock(&lock);
}

bool log_set_file(const char *name, GError **error)
{
    FILE *f = NULL;

    if (name) {
        g_autofree char *path = expand_name(name);

        f = fopen(path, "we");
        if (!f) {
            g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno),
                        "%s: cannot write the log: %s", path, g_strerror(errno));
            return false;
        }
        setvbuf(f, NULL, _IOLBF, BUFSIZ);
    }
    replace_file(f);
    return true;
}

void log_close(void)
{
    replace_file(NULL);
}

static void write_text(const char *text)
{
    g_mutex_lock(&lock);
    fputs(text, file ? file : stderr);
    g_mutex_unlock(&lock);
}

void log_printf(uint32_t mask, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (!log_enabled(mask)) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    write_text(text);
}

static void complain(const char *kind, const char *format, va_list args)
{
    unsigned n = __atomic_fetch_add(&n_complaints, 1, __ATOMIC_RELAXED);
    g_autofree char *text = NULL, *line = NULL;

    if (n >= MAX_COMPLAINTS) {
        __atomic_store_n(&n_complaints, MAX_COMPLAINTS + 1, __ATOMIC_RELAXED); /* must not wrap */
        if (n == MAX_COMPLAINTS) {
            write_text("log: too many guest errors, no more of them are printed\n");
        }
        return;
    }
    text = g_strdup_vprintf(format, args);
    line = g_strdup_printf("%s: %s\n", kind, text);
    write_text(line);
}

void log_guest_error(const char *format, ...)
{
    va_list args;

    if (log_enabled(LOG_GUEST_ERRORS)) {
        va_start(args, format);
        complain("guest-error", format, args);
        va_end(args);
    }
}

void log_unimp(const char *format, ...)
{
    va_list args;

    if (log_enabled(LOG_UNIMP)) {
        va_start(args, format);
        complain("unimplemented", format, args);
        va_end(args);
    }
}

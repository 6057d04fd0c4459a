/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: what -d asks for, on standard error or in the file of -D. Classes are bits of one global mask, so that a class which
 * is off costs a load and a test; where even that is too much the caller asks log_enabled() once. -dfilter narrows the classes
 * that show code to ranges of guest addresses; the code that logs asks log_in_filter().
 *
 * The mask, filter and file are set by the command line and the monitor; reading needs no lock, and each call of a
 * print function writes its text in one piece.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum LogClass {
    LOG_IN_ASM = 1 << 0,        /* guest code, as it is translated */
    LOG_IR = 1 << 1,            /* IR as built */
    LOG_IR_OPT = 1 << 2,        /* IR as emitted */
    LOG_OUT_ASM = 1 << 3,       /* host code */
    LOG_INT = 1 << 4,           /* traps and interrupts */
    LOG_EXEC = 1 << 5,          /* each block entered from the run loop */
    LOG_CPU = 1 << 6,           /* registers with each line of exec */
    LOG_MMU = 1 << 7,           /* walks and flushes */
    LOG_PCALL = 1 << 8,         /* changes of privilege by call and return */
    LOG_RESET = 1 << 9,         /* resets and power-off */
    LOG_UNIMP = 1 << 10,        /* guest uses what Menura does not have */
    LOG_GUEST_ERRORS = 1 << 11, /* guest does what the architecture calls wrong */
    LOG_PAGE = 1 << 12,         /* memory map when it changes */
    LOG_NOCHAIN = 1 << 13,      /* no listing: blocks are not linked, so that exec shows each */
    LOG_ALL = (1 << 14) - 1,
} LogClass;

/* Do not read or write directly: log_enabled() and log_set_mask(). */
extern uint32_t log_mask;

/* One of the classes in @mask is on. */
static inline bool log_enabled(uint32_t mask)
{
    return __builtin_expect((__atomic_load_n(&log_mask, __ATOMIC_RELAXED) & mask) != 0, 0);
}

void log_set_mask(uint32_t mask);

/* "int,guest_errors" (as -d); "all", "none"; "-int" takes a class away again. An unknown item is an error that names the nearest
 * right one, and nothing is changed. */
bool log_parse_items(const char *items, uint32_t *mask, GError **error);
bool log_set_items(const char *items, GError **error);
/* The list for "-d help" and the monitor's "help log": "name  meaning" lines. */
void log_list_items(GString *out);

/* "START..END", "START+SIZE", "START-SIZE", separated by commas (as -dfilter); END is inside. NULL or "": no filter. On an error,
 * which begins "-dfilter:", the old filter stays. */
bool log_set_filter(const char *ranges, GError **error);
bool log_in_filter(uint64_t addr);

/* Log into a file (truncated; "%d" in the name becomes the process id) instead of standard error. NULL: standard error again.
 * On an error, which begins with the name, the old destination stays. */
bool log_set_file(const char *name, GError **error);
/* Flushes and closes; later lines go to standard error. */
void log_close(void);

/* Prints if a class in @mask is on. The text brings its own newline. */
void log_printf(uint32_t mask, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Lines "guest-error: ..." and "unimplemented: ..."; these two add the newline. A guest cannot flood: after 10000 lines a run
 * prints one last line and no more. */
void log_guest_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_unimp(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif

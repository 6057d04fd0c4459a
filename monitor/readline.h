/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line editor as a state machine: bytes of a terminal in, bytes for the terminal out. Cursor keys
 * and Emacs' control keys, history, completion by Tab. It knows no descriptor and no command, so a
 * test can type at it.
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Readline Readline;

typedef struct ReadlineOps {
    void (*print)(void *opaque, const char *text, size_t len);
    /* A line was entered. */
    void (*line)(void *opaque, const char *line);
    /* Adds to @out (of char *, owned by it) the whole words that the last word of @text may become.
     * May be NULL. */
    void (*complete)(void *opaque, const char *text, GPtrArray *out);
} ReadlineOps;

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque);
void readline_free(Readline *rl);
/* Prints prompt and line anew (after other output). */
void readline_show_prompt(Readline *rl);
/* Takes one byte typed. */
void readline_input(Readline *rl, uint8_t c);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's line editor; see readline.h. Lines are bytes (no wide characters), at most
 * LINE_MAX_LEN long; what is typed beyond that is dropped. The line on the terminal is always
 * redrawn from the cursor on with plain escape sequences.
 */
#include "monitor/readline.h"

#include <stdbool.h>
#include <string.h>

enum { LINE_MAX_LEN = 4000, HISTORY_MAX = 100 };

typedef enum EscapeState { ESC_NONE, ESC_SEEN, ESC_BRACKET } EscapeState;

enum {
    KEY_CTRL_A = 1,
    KEY_CTRL_B = 2,
    KEY_CTRL_C = 3,
    KEY_CTRL_D = 4,
    KEY_CTRL_E = 5,
    KEY_CTRL_F = 6,
    KEY_BACKSPACE = 8,
    KEY_TAB = 9,
    KEY_CTRL_K = 11,
    KEY_CTRL_L = 12,
    KEY_CTRL_N = 14,
    KEY_CTRL_P = 16,
    KEY_CTRL_U = 21,
    KEY_CTRL_W = 23,
    KEY_ESCAPE = 27,
    KEY_DELETE = 127,
};

struct Readline {
    const ReadlineOps *ops;
    void *opaque;
    char *prompt;
    GString *line;
    size_t cursor;
    GPtrArray *history;  /* of char *, oldest first */
    unsigned history_at; /* == history->len: the line being typed */
    char *typed;         /* that line, while history is shown */
    EscapeState escape;
    unsigned escape_arg;
    bool after_cr; /* a CR LF is one line end */
};

Readline *readline_new(const char *prompt, const ReadlineOps *ops, void *opaque)
{
    Readline *rl = g_new0(Readline, 1);

    rl->ops = ops;
    rl->opaque = opaque;
    rl->prompt = g_strdup(prompt);
    rl->line = g_string_new(NULL);
    rl->history = g_ptr_array_new_with_free_func(g_free);
    return rl;
}

void readline_free(Readline *rl)
{
    g_free(rl->prompt);
    g_free(rl->typed);
    g_string_free(rl->line, TRUE);
    g_ptr_array_unref(rl->history);
    g_free(rl);
}

static void print(Readline *rl, const char *text)
{
    rl->ops->print(rl->opaque, text, strlen(text));
}

static void move_back(Readline *rl, size_t n)
{
    if (n) {
        g_autofree char *text = g_strdup_printf("\033[%zuD", n);

        print(rl, text);
    }
}

/* Redraws what stands behind the cursor. */
static void redraw_tail(Readline *rl)
{
    print(rl, rl->line->str + rl->cursor);
    print(rl, "\033[K");
    move_back(rl, rl->line->len - rl->cursor);
}

void readline_show_prompt(Readline *rl)
{
    print(rl, "\r\033[K");
    print(rl, rl->prompt);
    print(rl, rl->line->str);
    move_back(rl, rl->line->len - rl->cursor);
}

static void move_to(Readline *rl, size_t pos)
{
    if (pos < rl->cursor) {
        move_back(rl, rl->cursor - pos);
    } else if (pos > rl->cursor) {
        rl->ops->print(rl->opaque, rl->line->str + rl->cursor, pos - rl->cursor);
    }
    rl->cursor = pos;
}

static void insert(Readline *rl, const char *text, size_t len)
{
    if (rl->line->len + len > LINE_MAX_LEN) {
        return;
    }
    g_string_insert_len(rl->line, rl->cursor, text, len);
    rl->ops->print(rl->opaque, text, len);
    rl->cursor += len;
    if (rl->cursor < rl->line->len) {
        redraw_tail(rl);
    }
}

static void erase(Readline *rl, size_t from, size_t to)
{
    if (from < to && to <= rl->line->len) {
        move_to(rl, from);
        g_string_erase(rl->line, from, to - from);
        redraw_tail(rl);
    }
}

static size_t word_start(const Readline *rl)
{
    size_t p = rl->cursor;

    while (p && rl->line->str[p - 1] == ' ') {
        p--;
    }
    while (p && rl->line->str[p - 1] != ' ') {
        p--;
    }
    return p;
}

/* ---- History ---- */

static void remember(Readline *rl)
{
    const char *last = rl->history->len ? g_ptr_array_index(rl->history, rl->history->len - 1) : "";

    if (rl->line->len && strcmp(last, rl->line->str) != 0) {
        if (rl->history->len == HISTORY_MAX) {
            g_ptr_array_remove_index(rl->history, 0);
        }
        g_ptr_array_add(rl->history, g_strdup(rl->line->str));
    }
    rl->history_at = rl->history->len;
    g_clear_pointer(&rl->typed, g_free);
}

static void show_history(Readline *rl, unsigned at)
{
    const char *text;

    if (at > rl->history->len) {
        return;
    }
    if (rl->history_at == rl->history->len) {
        g_free(rl->typed);
        rl->typed = g_strdup(rl->line->str);
    }
    rl->history_at = at;
    text = at == rl->history->len ? rl->typed : g_ptr_array_index(rl->history, at);
    g_string_assign(rl->line, text ? text : "");
    rl->cursor = rl->line->len;
    readline_show_prompt(rl);
}

/* ---- Completion ---- */

static size_t common_prefix(const GPtrArray *words)
{
    const char *first = g_ptr_array_index(words, 0);
    size_t len = strlen(first);

    for (unsigned i = 1; i < words->len; i++) {
        const char *w = g_ptr_array_index(words, i);
        size_t n = 0;

        while (n < len && w[n] == first[n]) {
            n++;
        }
        len = n;
    }
    return len;
}

static void list_words(Readline *rl, const GPtrArray *words)
{
    print(rl, "\r\n");
    for (unsigned i = 0; i < words->len; i++) {
        print(rl, g_ptr_array_index(words, i));
        print(rl, i + 1 < words->len ? "  " : "\r\n");
    }
    readline_show_prompt(rl);
}

static void complete(Readline *rl)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *head = g_strndup(rl->line->str, rl->cursor);
    const char *space = strrchr(head, ' ');
    size_t have = strlen(space ? space + 1 : head);
    size_t common;

    if (!rl->ops->complete) {
        return;
    }
    rl->ops->complete(rl->opaque, head, words);
    if (words->len == 0) {
        return;
    }
    common = common_prefix(words);
    if (common > have) {
        insert(rl, (const char *)g_ptr_array_index(words, 0) + have, common - have);
    }
    if (words->len == 1) {
        insert(rl, " ", 1);
    } else if (common == have) {
        list_words(rl, words);
    }
}

/* ---- Keys ---- */

static void enter(Readline *rl)
{
    g_autofree char *line = g_strdup(rl->line->str);

    print(rl, "\r\n");
    remember(rl);
    g_string_truncate(rl->line, 0);
    rl->cursor = 0;
    rl->ops->line(rl->opaque, line);
}

/* The end of "ESC [ args final". */
static void handle_sequence(Readline *rl, uint8_t final)
{
    switch (final) {
    case 'A':
        if (rl->history_at) {
            show_history(rl, rl->history_at - 1);
        }
        break;
    case 'B':
        show_history(rl, rl->history_at + 1);
        break;
    case 'C':
        move_to(rl, MIN(rl->cursor + 1, rl->line->len));
        break;
    case 'D':
        move_to(rl, rl->cursor ? rl->cursor - 1 : 0);
        break;
    case 'H':
        move_to(rl, 0);
        break;
    case 'F':
        move_to(rl, rl->line->len);
        break;
    case '~':
        if (rl->escape_arg == 3) {
            erase(rl, rl->cursor, rl->cursor + 1);
        } else {
            move_to(rl, rl->escape_arg == 1 ? 0 : rl->line->len);
        }
        break;
    default:
        break;
    }
}

static void handle_escape(Readline *rl, uint8_t c)
{
    if (rl->escape == ESC_SEEN) {
        rl->escape = c == '[' || c == 'O' ? ESC_BRACKET : ESC_NONE;
        rl->escape_arg = 0;
    } else if (c >= '0' && c <= '9') {
        rl->escape_arg = (rl->escape_arg * 10 + c - '0') % 1000;
    } else if (c != ';') {
        rl->escape = ESC_NONE;
        handle_sequence(rl, c);
    }
}

static void handle_key(Readline *rl, uint8_t c)
{
    switch (c) {
    case KEY_CTRL_A:
        move_to(rl, 0);
        break;
    case KEY_CTRL_E:
        move_to(rl, rl->line->len);
        break;
    case KEY_CTRL_B:
        handle_sequence(rl, 'D');
        break;
    case KEY_CTRL_F:
        handle_sequence(rl, 'C');
        break;
    case KEY_CTRL_P:
        handle_sequence(rl, 'A');
        break;
    case KEY_CTRL_N:
        handle_sequence(rl, 'B');
        break;
    case KEY_CTRL_C:
        print(rl, "^C\r\n");
        g_string_truncate(rl->line, 0);
        rl->cursor = 0;
        readline_show_prompt(rl);
        break;
    case KEY_CTRL_D:
        erase(rl, rl->cursor, rl->cursor + 1);
        break;
    case KEY_BACKSPACE:
    case KEY_DELETE:
        erase(rl, rl->cursor ? rl->cursor - 1 : 0, rl->cursor);
        break;
    case KEY_CTRL_K:
        erase(rl, rl->cursor, rl->line->len);
        break;
    case KEY_CTRL_U:
        erase(rl, 0, rl->cursor);
        break;
    case KEY_CTRL_W:
        erase(rl, word_start(rl), rl->cursor);
        break;
    case KEY_CTRL_L:
        print(rl, "\033[H\033[2J");
        readline_show_prompt(rl);
        break;
    case KEY_TAB:
        complete(rl);
        break;
    case KEY_ESCAPE:
        rl->escape = ESC_SEEN;
        break;
    default:
        if (c >= ' ') {
            insert(rl, (const char *)&c, 1);
        }
        break;
    }
}

void readline_input(Readline *rl, uint8_t c)
{
    bool after_cr = rl->after_cr;

    rl->after_cr = c == '\r';
    if (rl->escape != ESC_NONE) {
        handle_escape(rl, c);
    } else if (c == '\r' || c == '\n') {
        if (c == '\r' || !after_cr) {
            enter(rl);
        }
    } else {
        handle_key(rl, c);
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Monitors: each joins a chardev, a line editor and the command table. The prompt appears with the
 * first input focus, so that a monitor behind the console's mux stays silent until C-a c.
 */
#include "monitor/monitor.h"

#include <string.h>
#include "monitor/monitor-priv.h"
#include "monitor/readline.h"

struct Monitor {
    Chardev *chr;
    Readline *rl;
    unsigned cpu_index;
    bool greeted;
};

static GPtrArray *monitors; /* of Monitor * */

/* ---- Commands ---- */

/* The name at the start of @line, which is cut up in place; what follows (a blank, or the '/' of a format) is *@rest. */
static char *split_name(char *line, char **rest)
{
    size_t n = strcspn(line, " /");
    char *name = g_strndup(line, n);

    *rest = g_strchug(line + n);
    return name;
}

/* "/4xg ADDR": the format behind the '/' and what follows it in *@args; or NULL. */
static char *split_format(char *text, char **args)
{
    char *format = NULL;

    *args = text;
    if (*text == '/') {
        size_t n = strcspn(text + 1, " ");

        format = g_strndup(text + 1, n);
        *args = g_strchug(text + 1 + n);
    }
    return format;
}

void monitor_run(const char *line, unsigned *cpu_index, GString *out)
{
    g_autofree char *copy = g_strstrip(g_strdup(line)), *format = NULL, *name = NULL;
    const MonitorCommand *command;
    char *args;

    name = split_name(copy, &args);
    if (!*name) {
        return;
    }
    command = monitor_find_command(monitor_commands, name);
    if (!command) {
        monitor_unknown(monitor_commands, "command", name, out);
        return;
    }
    if (g_str_has_prefix(command->args, "/FMT")) { /* elsewhere a '/' begins a file's name */
        format = split_format(args, &args);
    }
    command->run(
        &(MonitorCall){ .format = format, .args = args, .cpu_index = cpu_index, .out = out });
}

void monitor_complete(const char *text, GPtrArray *out)
{
    const MonitorCommand *table = monitor_commands;

    if (g_str_has_prefix(text, "info ")) {
        table = monitor_info_commands;
        text += 5;
    } else if (g_str_has_prefix(text, "help ")) {
        text += 5;
    }
    for (const MonitorCommand *c = table; c->name; c++) {
        if (g_str_has_prefix(c->name, text)) {
            g_ptr_array_add(out, g_strdup(c->name));
        }
    }
}

/* ---- The terminal side ---- */

/* Terminals want a carriage return at line ends. */
static void print_text(Monitor *mon, const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        const char *nl = memchr(text, '\n', end - text);

        chardev_write(mon->chr, text, (nl ? nl : end) - text);
        if (!nl) {
            return;
        }
        chardev_write(mon->chr, "\r\n", 2);
        text = nl + 1;
    }
}

static void on_print(void *opaque, const char *text, size_t len)
{
    Monitor *mon = opaque;

    chardev_write(mon->chr, text, len);
}

static void on_line(void *opaque, const char *line)
{
    Monitor *mon = opaque;
    g_autoptr(GString) out = g_string_new(NULL);

    monitor_run(line, &mon->cpu_index, out);
    print_text(mon, out->str, out->len);
    readline_show_prompt(mon->rl);
}

static void on_complete(void *opaque, const char *text, GPtrArray *out)
{
    monitor_complete(text, out);
}

static void monitor_read(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *mon = opaque;

    for (size_t i = 0; i < len; i++) {
        readline_input(mon->rl, buf[i]);
    }
}

static void monitor_event(void *opaque, ChardevEvent event)
{
    Monitor *mon = opaque;
    static const char greeting[] =
        "Menura " MENURA_VERSION " monitor - type 'help' for the commands\n";

    if (event == CHARDEV_FOCUS || (event == CHARDEV_OPENED && !chardev_is_mux(mon->chr))) {
        if (!mon->greeted) {
            print_text(mon, greeting, strlen(greeting));
        }
        mon->greeted = true;
        readline_show_prompt(mon->rl);
    } else if (event == CHARDEV_UNFOCUS) {
        print_text(mon, "\n", 1);
    } else if (event == CHARDEV_CLOSED) {
        mon->greeted = false;
    }
}

bool monitor_new(Chardev *chr, GError **error)
{
    static const ReadlineOps readline_ops = { .print = on_print,
                                              .line = on_line,
                                              .complete = on_complete };
    static const ChardevFrontend frontend = { .read = monitor_read,
                                              .event = monitor_event,
                                              .no_lock = true };
    Monitor *mon = g_new0(Monitor, 1);

    mon->chr = chr;
    mon->rl = readline_new("(menura) ", &readline_ops, mon);
    if (!monitors) {
        monitors = g_ptr_array_new();
    }
    g_ptr_array_add(monitors, mon);
    return chardev_attach(chr, &frontend, mon, error);
}

void monitor_cleanup(void)
{
    for (unsigned i = 0; monitors && i < monitors->len; i++) {
        Monitor *mon = g_ptr_array_index(monitors, i);

        chardev_detach(mon->chr, mon);
        readline_free(mon->rl);
        g_free(mon);
    }
    g_clear_pointer(&monitors, g_ptr_array_unref);
}

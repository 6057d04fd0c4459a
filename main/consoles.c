/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which back ends the serial ports and monitors use. The rules are QEMU's, for a program that has
 * no window yet: with -nographic, or when nothing was said about consoles at all, serial port 0 and
 * a monitor share the terminal.
 */
#include "main/system-priv.h"

#include <string.h>
#include "util/keyval.h"

static bool names_stdio(const char *text)
{
    return !strcmp(text, "stdio") || !strcmp(text, "mon:stdio") || g_str_has_prefix(text, "stdio,");
}

static bool list_names_stdio(const GPtrArray *list)
{
    for (unsigned i = 0; i < list->len; i++) {
        if (names_stdio(g_ptr_array_index(list, i))) {
            return true;
        }
    }
    return false;
}

static bool stdio_is_taken(const Options *opts)
{
    return list_names_stdio(opts->serials) || list_names_stdio(opts->monitors) ||
           list_names_stdio(opts->chardevs) || (opts->gdb && names_stdio(opts->gdb));
}

static void copy_list(const GPtrArray *from, GPtrArray *to)
{
    for (unsigned i = 0; i < from->len; i++) {
        g_ptr_array_add(to, g_strdup(g_ptr_array_index(from, i)));
    }
}

void console_plan_make(const Options *opts, ConsolePlan *plan)
{
    bool need_serial = !opts->no_defaults && opts->serials->len == 0;
    bool need_monitor = !opts->no_defaults && opts->monitors->len == 0 && opts->mons->len == 0;
    bool terminal =
        (opts->nographic || (!opts->display && !opts->daemonize)) && !stdio_is_taken(opts);

    plan->serials = g_ptr_array_new_with_free_func(g_free);
    plan->monitors = g_ptr_array_new_with_free_func(g_free);
    copy_list(opts->serials, plan->serials);
    copy_list(opts->monitors, plan->monitors);
    if (need_serial) {
        g_ptr_array_add(plan->serials, g_strdup(!terminal      ? "null"
                                                : need_monitor ? "mon:stdio"
                                                               : "stdio"));
    } else if (need_monitor && terminal && opts->nographic) {
        g_ptr_array_add(plan->monitors, g_strdup("stdio"));
    }
}

void console_plan_clear(ConsolePlan *plan)
{
    g_clear_pointer(&plan->serials, g_ptr_array_unref);
    g_clear_pointer(&plan->monitors, g_ptr_array_unref);
}

/* -chardev KIND,id=ID,...: the id is taken out, the rest is what chardev_new() reads. */
static bool open_chardev(const char *text, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(text, "backend");
    g_autoptr(GString) spec = g_string_new(NULL);
    const char *id = keyvals_get(kv, "id");
    Chardev *chr;

    if (!id || !*id) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-chardev %s: id= is missing",
                    text);
        return false;
    }
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);

        if (strcmp(key, "id") != 0) {
            g_auto(GStrv) parts = g_strsplit(keyvals_value(kv, i), ",", -1);
            g_autofree char *value = g_strjoinv(",,", parts);

            if (keyvals_is_flag(kv, i)) {
                g_string_append_printf(spec, "%s%s", spec->len ? "," : "", key);
            } else {
                g_string_append_printf(spec, "%s%s=%s", spec->len ? "," : "", key, value);
            }
        }
    }
    if (!chardev_new(id, spec->str, &chr, error)) {
        g_prefix_error(error, "-chardev %s: ", text);
        return false;
    }
    return true;
}

static bool open_mon(const char *text, GPtrArray *monitors, GError **error)
{
    static const char *const allowed[] = { "chardev", "mode", "pretty", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "chardev");
    const char *id, *mode;
    Chardev *chr;

    if (!keyvals_check(kv, "-mon", allowed, error)) {
        return false;
    }
    id = keyvals_get(kv, "chardev");
    mode = keyvals_get(kv, "mode");
    if (mode && strcmp(mode, "readline") != 0) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-mon: mode=%s: not supported yet (only readline is)", mode);
        return false;
    }
    chr = id ? chardev_find(id) : NULL;
    if (!chr) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-mon: no -chardev has the id '%s'", id ? id : "");
        return false;
    }
    g_ptr_array_add(monitors, chr);
    return true;
}

/* The back end number @i of an option of the -serial kind. */
static bool open_console(const char *option, unsigned i, const char *text, Chardev **chr,
                         GError **error)
{
    g_autofree char *id = g_strdup_printf("%s%u", option, i);

    if (!strcmp(text, "vc") || g_str_has_prefix(text, "vc:")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-%s %s: not supported yet: there is no window", option, text);
        return false;
    }
    if (!chardev_new(id, text, chr, error)) {
        g_prefix_error(error, "-%s %s: ", option, text);
        return false;
    }
    return true;
}

bool consoles_open(const Options *opts, const ConsolePlan *plan, GPtrArray *serials,
                   GPtrArray *monitors, GError **error)
{
    Chardev *chr;

    for (unsigned i = 0; i < opts->chardevs->len; i++) {
        if (!open_chardev(g_ptr_array_index(opts->chardevs, i), error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < plan->serials->len; i++) {
        const char *text = g_ptr_array_index(plan->serials, i);

        if (!open_console("serial", i, text, &chr, error)) {
            return false;
        }
        g_ptr_array_add(serials, chr);
        if (g_str_has_prefix(text, "mon:")) {
            g_ptr_array_add(monitors, chr);
        }
    }
    for (unsigned i = 0; i < plan->monitors->len; i++) {
        if (!open_console("monitor", i, g_ptr_array_index(plan->monitors, i), &chr, error)) {
            return false;
        }
        if (chr) {
            g_ptr_array_add(monitors, chr);
        }
    }
    for (unsigned i = 0; i < opts->mons->len; i++) {
        if (!open_mon(g_ptr_array_index(opts->mons, i), monitors, error)) {
            return false;
        }
    }
    return true;
}

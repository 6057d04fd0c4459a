/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's commands for networks. */
#include "monitor/monitor-priv.h"

#include <string.h>
#include "net/net.h"
#include "softmmu/memory.h"
#include "util/keyval.h"

void monitor_info_network(MonitorCall *call)
{
    machine_lock();
    net_info(call->out);
    machine_unlock();
}

void monitor_info_usernet(MonitorCall *call)
{
    machine_lock();
    net_info_user(call->out);
    machine_unlock();
}

/* The argument's words: one or two. */
static char **words_of(MonitorCall *call, const char *command)
{
    char **words = g_strsplit_set(call->args, " ", 2);

    if (!words[0] || !*words[0]) {
        g_string_append_printf(call->out, "%s: an argument is missing\n", command);
        g_clear_pointer(&words, g_strfreev);
    }
    return words;
}

static void report(MonitorCall *call, const GError *error)
{
    if (error) {
        g_string_append_printf(call->out, "%s\n", error->message);
    }
}

void monitor_set_link(MonitorCall *call)
{
    g_auto(GStrv) words = words_of(call, "set_link");
    g_autoptr(GError) error = NULL;
    bool up;

    if (!words) {
        return;
    }
    if (!words[1] || !keyval_parse_bool(g_strstrip(words[1]), &up)) {
        g_string_append(call->out, "set_link: expected NAME on|off\n");
        return;
    }
    machine_lock();
    net_set_link(words[0], up, &error);
    machine_unlock();
    report(call, error);
}

static void change_hostfwd(MonitorCall *call, const char *command,
                           bool (*f)(const char *id, const char *rule, GError **error))
{
    g_auto(GStrv) words = words_of(call, command);
    g_autoptr(GError) error = NULL;

    if (words) {
        machine_lock();
        f(words[1] ? words[0] : NULL, words[1] ? g_strstrip(words[1]) : words[0], &error);
        machine_unlock();
        report(call, error);
    }
}

void monitor_hostfwd_add(MonitorCall *call)
{
    change_hostfwd(call, "hostfwd_add", net_hostfwd_add);
}

void monitor_hostfwd_remove(MonitorCall *call)
{
    change_hostfwd(call, "hostfwd_remove", net_hostfwd_remove);
}

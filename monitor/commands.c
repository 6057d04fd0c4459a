/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's command table and the commands that control the machine. The "info" commands are in
 * info.c, memory in memory.c.
 */
#include "monitor/monitor-priv.h"

#include <string.h>
#include "chardev/chardev.h"
#include "hw/core/balloon.h"
#include "hw/core/snapshot.h"
#include "monitor/monitor.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "util/keyval.h"
#include "util/log.h"
#include "util/size.h"
#include "util/suggest.h"

const MonitorCommand *monitor_find_command(const MonitorCommand *table, const char *name)
{
    for (const MonitorCommand *c = table; c->name; c++) {
        if (!strcmp(c->name, name) || (c->alias && !strcmp(c->alias, name))) {
            return c;
        }
    }
    return NULL;
}

void monitor_unknown(const MonitorCommand *table, const char *what, const char *name, GString *out)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    for (const MonitorCommand *c = table; c->name; c++) {
        g_ptr_array_add(names, (void *)c->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(name, (const char *const *)names->pdata);
    g_string_append_printf(out, "unknown %s: '%s'%s\n", what, name, hint);
}

void monitor_list_commands(const MonitorCommand *table, const char *prefix, GString *out)
{
    for (const MonitorCommand *c = table; c->name; c++) {
        g_autofree char *head =
            g_strdup_printf("%s%s%s%s%s%s", prefix, c->name, c->alias ? "|" : "",
                            c->alias ? c->alias : "", *c->args ? " " : "", c->args);

        g_string_append_printf(out, "%-28s -- %s\n", head, c->help);
    }
}

Cpu *monitor_cpu(MonitorCall *call)
{
    if (!cpus || cpus->len == 0) {
        g_string_append(call->out, "there is no CPU yet\n");
        return NULL;
    }
    return g_ptr_array_index(cpus, MIN(*call->cpu_index, cpus->len - 1));
}

static void cmd_help(MonitorCall *call)
{
    const MonitorCommand *c;

    if (!*call->args) {
        monitor_list_commands(monitor_commands, "", call->out);
    } else if (!strcmp(call->args, "info")) {
        monitor_list_commands(monitor_info_commands, "info ", call->out);
    } else if ((c = monitor_find_command(monitor_commands, call->args))) {
        g_string_append_printf(call->out, "%s%s%s -- %s\n", c->name, *c->args ? " " : "", c->args,
                               c->help);
    } else {
        monitor_unknown(monitor_commands, "command", call->args, call->out);
    }
}

static void cmd_info(MonitorCall *call)
{
    g_auto(GStrv) parts = g_strsplit(call->args, " ", 2);
    const MonitorCommand *c;
    MonitorCall sub = *call;

    if (!parts[0] || !*parts[0]) {
        monitor_list_commands(monitor_info_commands, "info ", call->out);
        return;
    }
    c = monitor_find_command(monitor_info_commands, parts[0]);
    if (!c) {
        monitor_unknown(monitor_info_commands, "info", parts[0], call->out);
        return;
    }
    sub.args = parts[1] ? g_strstrip(parts[1]) : "";
    c->run(&sub);
}

static void cmd_quit(MonitorCall *call)
{
    chardev_hurry();
    vm_request_shutdown(0);
}

static void cmd_stop(MonitorCall *call)
{
    vm_stop();
}

static void cmd_cont(MonitorCall *call)
{
    vm_start();
    if (!vm_is_running()) {
        g_string_append(call->out, "cont: the machine's memory could not be loaded; loadvm another "
                                   "snapshot or quit\n");
    }
}

static void cmd_system_reset(MonitorCall *call)
{
    vm_request_reset();
}

static void cmd_system_powerdown(MonitorCall *call)
{
    if (!vm_request_powerdown()) {
        g_string_append(
            call->out,
            "system_powerdown: this machine has no power button that the guest could see\n");
    }
}

static void cmd_cpu(MonitorCall *call)
{
    uint64_t n;

    if (!keyval_parse_uint(call->args, &n) || !cpus || n >= cpus->len) {
        g_string_append_printf(call->out, "cpu: '%s' is no CPU's number (0 to %u)\n", call->args,
                               cpus ? cpus->len - 1 : 0);
        return;
    }
    *call->cpu_index = n;
}

static void cmd_x(MonitorCall *call)
{
    monitor_dump_memory(call, false);
}

static void cmd_xp(MonitorCall *call)
{
    monitor_dump_memory(call, true);
}

static void cmd_log(MonitorCall *call)
{
    g_autoptr(GError) error = NULL;

    if (!*call->args || !strcmp(call->args, "help")) {
        log_list_items(call->out);
    } else if (!log_set_items(call->args, &error)) {
        g_string_append_printf(call->out, "log: %s\n", error->message);
    }
}

/* Runs @f on the stopped machine, which goes on as it was if that went well or changed nothing. */
static void with_machine_stopped(MonitorCall *call, const char *name,
                                 bool (*f)(const char *tag, GError **error))
{
    bool was_running = vm_is_running();
    g_autoptr(GError) error = NULL;

    if (!*call->args) {
        g_string_append_printf(call->out, "%s: the snapshot's name is missing\n", name);
        return;
    }
    vm_stop();
    if (!f(call->args, &error)) {
        g_string_append_printf(call->out, "%s: %s\n", name, error->message);
        was_running &= !g_str_has_prefix(error->message, HW_SNAPSHOT_INCOMPLETE);
    }
    if (was_running) {
        vm_start();
    }
}

static void cmd_savevm(MonitorCall *call)
{
    with_machine_stopped(call, "savevm", hw_snapshot_save);
}

/* MiB, if there is no unit, as in QEMU. */
static void cmd_balloon(MonitorCall *call)
{
    g_autoptr(GError) error = NULL;
    uint64_t bytes;

    if (!size_parse(call->args, 'M', "balloon", &bytes, &error)) {
        g_string_append_printf(call->out, "%s\n", error->message);
        return;
    }
    machine_lock();
    if (!hw_balloon_set(bytes)) {
        g_string_append(call->out, "balloon: the machine has none (-device virtio-balloon-pci)\n");
    }
    machine_unlock();
}

static void cmd_loadvm(MonitorCall *call)
{
    with_machine_stopped(call, "loadvm", hw_snapshot_load);
}

static void cmd_delvm(MonitorCall *call)
{
    with_machine_stopped(call, "delvm", hw_snapshot_delete);
}

static bool (*device_add)(const char *text, GError **error);
static bool (*device_del)(const char *id, GError **error);

void monitor_set_device_handlers(bool (*add)(const char *text, GError **error),
                                 bool (*del)(const char *id, GError **error))
{
    device_add = add;
    device_del = del;
}

static void change_devices(MonitorCall *call, bool (*f)(const char *text, GError **error))
{
    g_autoptr(GError) error = NULL;

    machine_lock();
    if (f && !f(call->args, &error)) {
        g_string_append_printf(call->out, "%s\n", error->message);
    }
    machine_unlock();
}

static void cmd_device_add(MonitorCall *call)
{
    change_devices(call, device_add);
}

static void cmd_device_del(MonitorCall *call)
{
    change_devices(call, device_del);
}

const MonitorCommand monitor_commands[] = {
    { "help", "?", "[COMMAND]", "this list, or one command", cmd_help },
    { "info", NULL, "[SUBJECT]", "show something of the machine; without a subject: list them",
      cmd_info },
    { "quit", "q", "", "end the emulator", cmd_quit },
    { "stop", "s", "", "stop the machine", cmd_stop },
    { "cont", "c", "", "let the machine go on", cmd_cont },
    { "system_reset", NULL, "", "reset the machine", cmd_system_reset },
    { "system_powerdown", NULL, "", "press the power button", cmd_system_powerdown },
    { "balloon", NULL, "SIZE", "ask the guest to use only so much memory (MiB)", cmd_balloon },
    { "cpu", NULL, "N", "the CPU that registers and x refer to", cmd_cpu },
    { "x", NULL, "/FMT ADDR",
      "dump virtual memory; FMT: count, format (d u o x c s i), size (b h w g)", cmd_x },
    { "xp", NULL, "/FMT ADDR", "dump physical memory", cmd_xp },
    { "print", "p", "/FMT EXPR", "the value of an expression; registers as $NAME",
      monitor_print_value },
    { "sendkey", NULL, "KEYS [MS]", "press these keys (ctrl-alt-f1), for 100 or MS milliseconds",
      monitor_sendkey },
    { "mouse_move", NULL, "X Y [WHEEL]",
      "move the pointer: by so much, or to there if it is absolute (0 to 32767)",
      monitor_mouse_move },
    { "mouse_button", NULL, "MASK", "buttons that are down: 1 left, 2 right, 4 middle",
      monitor_mouse_button },
    { "mouse_set", NULL, "N", "the pointer (of info mice) that is moved", monitor_mouse_set },
    { "device_add", NULL, "MODEL[,PROP=VALUE...]", "plug a USB device in; as -device",
      cmd_device_add },
    { "device_del", NULL, "ID", "pull a USB device out", cmd_device_del },
    { "savevm", NULL, "TAG", "keep the machine's state and its disks' contents under this name",
      cmd_savevm },
    { "loadvm", NULL, "TAG", "go back to what savevm kept", cmd_loadvm },
    { "delvm", NULL, "TAG", "forget it", cmd_delvm },
    { "set_link", NULL, "NAME on|off", "plug a network's or card's cable in or out",
      monitor_set_link },
    { "hostfwd_add", NULL, "[NETDEV] [tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT",
      "forward a port of the host to the guest", monitor_hostfwd_add },
    { "hostfwd_remove", NULL, "[NETDEV] [tcp|udp]:[HOSTADDR]:PORT", "forward it no more",
      monitor_hostfwd_remove },
    { "log", NULL, "ITEM[,...]", "log these items (none: stop); without items: list them",
      cmd_log },
    {}
};

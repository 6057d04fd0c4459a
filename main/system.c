/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system emulator from its command line to its exit status: options, back ends, machine,
 * devices, debugger and monitors, main loop, and everything back in reverse. Each step is one call
 * that fails with an error whose text begins with the option at fault.
 */
#include "main/system-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "fsdev/fsdev.h"
#include "gdbstub/gdbstub.h"
#include "hw/core/machine.h"
#include "hw/core/snapshot.h"
#include "main/sandbox.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "net/vsock.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "util/keyval.h"
#include "util/log.h"

typedef struct System {
    const TargetOps *target;
    Options opts;
    SystemConfig config;
    DriveSet drives;
    GPtrArray *serials, *monitors; /* of Chardev *, borrowed */
    GPtrArray *cards;              /* -device texts of -nic and -net */
    GPtrArray *shares;             /* and of -virtfs */
    char *name;                    /* -name */
    HwMachine *machine;
    bool pidfile_written;
    bool done; /* what was asked for needs no running machine */
} System;

/* ---- Listings ---- */

static bool is_help(const char *text)
{
    return text && (!strcmp(text, "help") || !strcmp(text, "?"));
}

static bool list_machine(System *sys, GString *out, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(sys->opts.machine ? sys->opts.machine : "", "type");
    HwMachineClass *mc;

    if (is_help(sys->opts.machine)) {
        hw_machine_list(sys->target, out);
    } else if (keyvals_get(kv, "help")) {
        mc = hw_machine_find(sys->target, keyvals_get(kv, "type"), error);
        if (!mc) {
            return false;
        }
        hw_machine_list_props(mc, out);
    }
    return true;
}

static bool list_devices(System *sys, GString *out, GError **error)
{
    GError *err = NULL;

    for (unsigned i = 0; i < sys->opts.devices->len; i++) {
        if (device_help(g_ptr_array_index(sys->opts.devices, i), out, &err) && err) {
            g_propagate_error(error, err);
            return false;
        }
    }
    return true;
}

static void list_accels(GString *out)
{
    g_string_append(
        out, "Accelerators:\n"
             "  jit       guest code is translated to host code (default; also called tcg)\n"
             "  interp    guest code is interpreted: slow, for comparison and other hosts\n");
}

/* Everything that only prints: *@out stays empty if nothing of the kind was asked for. */
static bool print_listings(System *sys, const char *program, GString *out, GError **error)
{
    const Options *o = &sys->opts;

    if (o->help) {
        options_help(program, out);
    } else if (o->version) {
        g_string_append(out, "Menura emulator version " MENURA_VERSION "\n");
    } else if (!list_machine(sys, out, error) || !list_devices(sys, out, error)) {
        return false;
    }
    if (is_help(o->cpu)) {
        sys->target->list_cpus(out);
    }
    if (is_help(o->accel)) {
        list_accels(out);
    }
    if (is_help(o->log_items)) {
        log_list_items(out);
    }
    if (is_help(o->display)) {
        g_string_append(out, "Displays:\n  none\n");
    }
    for (unsigned i = 0; i < o->netdevs->len; i++) {
        if (is_help(g_ptr_array_index(o->netdevs, i))) {
            net_list(out);
        }
    }
    for (unsigned i = 0; i < o->chardevs->len; i++) {
        if (is_help(g_ptr_array_index(o->chardevs, i))) {
            chardev_list(out);
        }
    }
    return true;
}

/* ---- The steps ---- */

static bool parse_name(System *sys, GError **error)
{
    static const char *const allowed[] = { "guest", "process", "debug-threads", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(sys->opts.name ? sys->opts.name : "", "guest");

    if (!keyvals_check(kv, "-name", allowed, error)) {
        return false;
    }
    sys->name = g_strdup(keyvals_get(kv, "guest"));
    return true;
}

static bool set_up_log(System *sys, GError **error)
{
    if (!log_set_file(sys->opts.log_file, error)) {
        g_prefix_error(error, "-D: ");
        return false;
    }
    if (sys->opts.log_items && !log_set_items(sys->opts.log_items, error)) {
        g_prefix_error(error, "-d: ");
        return false;
    }
    sys->config.cpu.no_link = log_enabled(LOG_NOCHAIN);
    return log_set_filter(sys->opts.log_filter, error);
}

static void quit(void)
{
    chardev_hurry();
    vm_request_shutdown(0);
}

static bool set_up_chardevs(System *sys, GError **error)
{
    const char *escape = sys->opts.escape;
    ConsolePlan plan;
    uint64_t code;
    bool ok;

    if (escape) {
        if (!keyval_parse_uint(escape, &code) || code < 1 || code > 26) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-echr %s: expected a number from 1 (C-a) to 26 (C-z)", escape);
            return false;
        }
        chardev_set_escape(code);
    }
    chardev_set_lock(machine_lock, machine_unlock);
    chardev_set_quit_handler(quit);
    sys->serials = g_ptr_array_new();
    sys->monitors = g_ptr_array_new();
    console_plan_make(&sys->opts, &plan);
    ok = consoles_open(&sys->opts, &plan, sys->serials, sys->monitors, error);
    console_plan_clear(&plan);
    if (ok && sys->serials->len > HW_N_SERIALS) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-serial: at most %d serial ports", HW_N_SERIALS);
        ok = false;
    }
    return ok;
}

static bool set_up_drives(System *sys, GError **error)
{
    block_set_lock(machine_lock, machine_unlock);
    block_set_synchronous(sys->config.cpu.icount);
    return drives_open(&sys->opts, &sys->drives, error) && blockdevs_open(&sys->opts, error);
}

static bool set_up_networks(System *sys, GError **error)
{
    net_set_lock(machine_lock, machine_unlock);
    sys->cards = g_ptr_array_new_with_free_func(g_free);
    return netdevs_open(&sys->opts, HW_MACHINE_GET_CLASS(sys->machine)->default_nic, sys->cards,
                        error);
}

static bool set_up_folders(System *sys, GError **error)
{
    fsdev_set_lock(machine_lock, machine_unlock);
    fsdev_set_synchronous(sys->config.cpu.icount);
    sys->shares = g_ptr_array_new_with_free_func(g_free);
    return fsdevs_open(&sys->opts, sys->shares, error);
}

static void fill_machine_config(System *sys)
{
    HwMachineConfig *mc = &sys->machine->config;
    const Options *o = &sys->opts;

    mc->ram_size = o->memory ? sys->config.ram_size : 0;
    mc->n_cpus = sys->config.n_cpus;
    mc->cpu = o->cpu;
    mc->kernel = o->kernel;
    mc->initrd = o->initrd;
    mc->append = o->append;
    mc->dtb = o->dtb;
    mc->bios = g_strcmp0(o->bios, "default") ? o->bios : NULL;
    g_ptr_array_add(o->data_dirs, NULL);
    mc->data_dirs = (const char *const *)o->data_dirs->pdata;
    mc->name = sys->name;
    mc->icount = sys->config.cpu.icount;
    for (unsigned i = 0; i < N_PFLASH; i++) {
        mc->pflash[i] = sys->drives.pflash[i];
    }
    for (unsigned i = 0; i < sys->serials->len; i++) {
        mc->serials[i] = g_ptr_array_index(sys->serials, i);
    }
}

static bool set_up_machine(System *sys, GError **error)
{
    uint64_t limit;

    clock_init();
    clock_set_rtc(sys->config.rtc_offset, sys->config.rtc_virtual);
    vm_set_no_reboot(sys->opts.no_reboot);
    fill_machine_config(sys);
    return hw_machine_memory_limit(sys->machine, &limit, error) && memory_init(limit, error) &&
           cpu_core_init(sys->target, &sys->config.cpu, error) &&
           hw_machine_init(sys->machine, error);
}

/* The devices of -device first, then those that come with drives, networks and folders. */
static bool add_devices(System *sys, GError **error)
{
    for (unsigned i = 0; i < sys->opts.devices->len; i++) {
        if (!device_add("-device", g_ptr_array_index(sys->opts.devices, i), error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < sys->drives.devices->len; i++) {
        if (!device_add("-drive", g_ptr_array_index(sys->drives.devices, i), error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < sys->cards->len; i++) {
        if (!device_add("-nic", g_ptr_array_index(sys->cards, i), error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < sys->shares->len; i++) {
        if (!device_add("-virtfs", g_ptr_array_index(sys->shares, i), error)) {
            return false;
        }
    }
    return true;
}

static void run_gdb_command(const char *command, GString *out)
{
    static unsigned cpu_index;

    monitor_run(command, &cpu_index, out);
}

static bool start_gdb(System *sys, GError **error)
{
    const char *dev = sys->opts.gdb;
    bool listens = dev && (g_str_has_prefix(dev, "tcp:") || g_str_has_prefix(dev, "unix:")) &&
                   !strstr(dev, "server");
    g_autofree char *spec =
        g_strconcat(dev ? dev : "none", listens ? ",server=on,wait=off" : "", NULL);
    Chardev *chr;

    if (!chardev_new("gdb", spec, &chr, error) || (chr && !gdbstub_start(chr, error))) {
        g_prefix_error(error, "-gdb %s: ", dev);
        return false;
    }
    gdbstub_set_command_handler(run_gdb_command);
    return true;
}

static bool start_monitors(System *sys, GError **error)
{
    monitor_set_device_handlers(device_plug, device_unplug);
    for (unsigned i = 0; i < sys->monitors->len; i++) {
        if (!monitor_new(g_ptr_array_index(sys->monitors, i), error)) {
            g_prefix_error(error, "-monitor: ");
            return false;
        }
    }
    return true;
}

static bool write_pidfile(System *sys, GError **error)
{
    g_autofree char *text = g_strdup_printf("%d\n", getpid());

    if (sys->opts.pidfile && !g_file_set_contents(sys->opts.pidfile, text, -1, error)) {
        g_prefix_error(error, "-pidfile: ");
        return false;
    }
    sys->pidfile_written = sys->opts.pidfile != NULL;
    return true;
}

/* Everything is open: what opens more belongs before this. */
static bool start_sandbox(System *sys, GError **error)
{
    SandboxNeeds needs = {
        .files = sys->monitors->len > 0 || sys->opts.gdb,
        .unlink = sys->pidfile_written || chardev_has_sockets() || vsock_is_used(),
        .sockets = chardev_has_sockets() || net_has_sockets() || vsock_is_used(),
        .reads = net_reads_files(),
        .uring = block_uses_uring(),
        .folders = fsdev_exists(),
    };

    if (sys->config.sandbox && net_runs_programs()) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-netdev: guestfwd= starts programs: that needs -sandbox off");
        return false;
    }
    return !sys->config.sandbox || sandbox_enter(&needs, error);
}

/* ---- Start and end ---- */

static bool start(System *sys, const char *program, int argc, char **argv, GError **error)
{
    g_autoptr(GString) listing = g_string_new(NULL);

    if (!options_parse(&sys->opts, argc, argv, error) ||
        !print_listings(sys, program, listing, error)) {
        return false;
    }
    if (listing->len) {
        fputs(listing->str, stdout);
        sys->done = true;
        return true;
    }
    if (!config_parse(&sys->opts, &sys->config, error) || !parse_name(sys, error)) {
        return false;
    }
    sys->machine = hw_machine_new(sys->target, sys->opts.machine, error);
    if (!sys->machine || (sys->opts.daemonize && !daemon_start(error))) {
        return false;
    }
    signals_install();
    if (!set_up_log(sys, error) || !set_up_chardevs(sys, error) || !set_up_drives(sys, error) ||
        !set_up_networks(sys, error) || !set_up_folders(sys, error) ||
        !set_up_machine(sys, error) || !add_devices(sys, error) ||
        !hw_machine_boot(sys->machine, &sys->done, error)) {
        return false;
    }
    if (sys->done) {
        return true;
    }
    cpu_start_threads();
    if (sys->opts.loadvm && !hw_snapshot_load(sys->opts.loadvm, error)) {
        g_prefix_error(error, "-loadvm: ");
        return false;
    }
    net_start();
    if (!start_gdb(sys, error) || !start_monitors(sys, error)) {
        return false;
    }
    signals_loop_begins(); /* whoever finds the pid file may send one, after which that file is gone */
    return write_pidfile(sys, error) && start_sandbox(sys, error);
}

static int run(System *sys)
{
    int status;

    daemon_ready();
    if (!sys->opts.stopped) {
        vm_start();
    }
    status = vm_main_loop();
    cpu_stop_threads();
    gdbstub_stop(status);
    return status;
}

static void clean_up(System *sys)
{
    monitor_cleanup();
    hw_snapshot_stop();
    vsock_cleanup();
    net_cleanup();
    machine_lock();
    block_close_all();
    machine_unlock();
    chardev_flush_all();
    chardev_cleanup();
    log_close();
    if (sys->pidfile_written) {
        unlink(sys->opts.pidfile);
    }
}

/* One line, whatever a library wrote into it. */
static void report(const char *program, GError *error)
{
    fprintf(stderr, "%s: %s\n", program, g_strdelimit(error->message, "\r\n", ' '));
}

int system_main(const char *program, const TargetOps *target, int argc, char **argv)
{
    System *sys =
        g_new0(System, 1); /* lives as long as the process: the machine borrows its texts */
    g_autoptr(GError) error = NULL;
    int status = 0;

    sys->target = target;
    options_init(&sys->opts);
    drive_set_init(&sys->drives);
    if (!start(sys, program, argc, argv, &error)) {
        status = 1;
    } else if (!sys->done) {
        status = run(sys);
    }
    clean_up(sys);
    if (error) {
        report(program, error);
    }
    return status;
}

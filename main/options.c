/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The option table and its parser; see options.h. Names and meanings are QEMU's. Options that QEMU
 * has and Menura does not have yet are listed too, so that they are refused as such and not as
 * misspelt.
 */
#include "main/options.h"

#include <string.h>
#include "util/suggest.h"

#define AT(field) offsetof(Options, field)

const Option option_table[] = {
    { "machine", "M", "NAME[,PROP=VALUE...]", OPTION_JOIN, AT(machine), .group = "Machine",
      .help = "the machine to emulate; -M help lists them" },
    { "cpu", NULL, "MODEL[,EXT=on|off...]", OPTION_STRING, AT(cpu),
      .help = "the CPU model; -cpu help lists models and extensions" },
    { "smp", NULL, "N", OPTION_STRING, AT(smp),
      .help = "number of CPUs, also as cpus=N or sockets=,cores=,threads= (default 1)" },
    { "m", NULL, "SIZE", OPTION_STRING, AT(memory),
      .help = "RAM: in MiB, or with a suffix K, M, G (default 128M)" },
    { "accel", NULL, "jit|interp[,PROP=VALUE...]", OPTION_STRING, AT(accel),
      .help = "how guest code is run: translated, or interpreted; properties "
              "one-insn-per-tb=on|off, tb-size=MIB, profile=on|off (counts for info jit), "
              "tlb=on|off (off: nothing is remembered, slow)" },
    { "icount", NULL, "shift=N|auto[,sleep=off]", OPTION_STRING, AT(icount),
      .help = "count instructions: virtual time is a function of them, one is 2^N ns; runs are "
              "reproducible" },
    { "rtc", NULL, "base=utc|localtime|DATE[,clock=host|vm]", OPTION_STRING, AT(rtc),
      .help = "what the real-time clock begins with and follows (default host; with -icount vm "
              "from 2026-01-01)" },
    { "name", NULL, "NAME", OPTION_STRING, AT(name), .help = "a name for the guest" },
    { "nodefaults", NULL, NULL, OPTION_FLAG, AT(no_defaults),
      .help = "no default serial port, monitor and network" },

    { "kernel", NULL, "FILE", OPTION_STRING, AT(kernel), .group = "Boot",
      .help = "kernel: ELF, Image, gzip or EFI zboot image" },
    { "initrd", NULL, "FILE", OPTION_STRING, AT(initrd), .help = "initial RAM disk" },
    { "append", NULL, "TEXT", OPTION_STRING, AT(append), .help = "the kernel's command line" },
    { "dtb", NULL, "FILE", OPTION_STRING, AT(dtb),
      .help = "device tree to use instead of the generated one" },
    { "bios", NULL, "FILE|none|default", OPTION_STRING, AT(bios),
      .help = "firmware; default is OpenSBI" },
    { "L", NULL, "DIR", OPTION_LIST, AT(data_dirs), .help = "look for firmware in DIR first" },

    { "drive", NULL,
      "[file=]FILE[,if=virtio|pflash|none][,format=FORMAT][,id=ID][,readonly=on][,snapshot=on]"
      "[,index=N][,cache=MODE][,discard=ignore|unmap][,werror=ACTION][,rerror=ACTION]"
      "[,aio=threads|io_uring]",
      OPTION_LIST, AT(drives), .group = "Devices",
      .help = "a disk or flash image; if=none makes it known by id= to -device ...,drive=ID" },
    { "blockdev", NULL, "[driver=]FORMAT,node-name=NAME,file.filename=FILE[,OPTION=VALUE...]",
      OPTION_LIST, AT(blockdevs),
      .help =
          "a disk's image or a part of it, also as JSON; known by its name to a later -blockdev's "
          "file= and backing=, or to -device ...,drive=NAME" },
    { "hda", NULL, "FILE", OPTION_MEANS, .means = "drive", .format = "file=%s,index=0,media=disk",
      .help = "the first disk" },
    { "hdb", NULL, "FILE", OPTION_MEANS, .means = "drive", .format = "file=%s,index=1,media=disk",
      .help = "the second disk" },
    { "cdrom", NULL, "FILE", OPTION_MEANS, .means = "drive",
      .format = "file=%s,index=2,media=cdrom", .help = "a read-only disk" },
    { "pflash", NULL, "FILE", OPTION_MEANS, .means = "drive", .format = "file=%s,if=pflash",
      .help = "a flash bank's contents" },
    { "snapshot", NULL, NULL, OPTION_FLAG, AT(snapshot),
      .help = "never change disk images: writes are forgotten at exit" },
    { "loadvm", NULL, "TAG", OPTION_STRING, AT(loadvm),
      .help = "begin where the monitor's savevm TAG was; TAG,lazy=off loads all RAM before" },
    { "device", NULL, "MODEL[,PROP=VALUE...]", OPTION_LIST, AT(devices),
      .help = "add a device; -device help lists models, -device MODEL,help its properties" },
    { "chardev", NULL, "KIND,id=ID[,PROP=VALUE...]", OPTION_LIST, AT(chardevs),
      .help = "a character back end; -chardev help lists kinds" },
    { "netdev", NULL, "KIND,id=ID[,PROP=VALUE...]", OPTION_LIST, AT(netdevs),
      .help = "a network for -device ...,netdev=ID; -netdev help lists kinds" },
    { "nic", NULL, "KIND[,model=MODEL][,mac=ADDRESS][,PROP=VALUE...]", OPTION_LIST, AT(nics),
      .help = "a network and its card in one; none: no card" },
    { "net", NULL, "none|nic[,...]|KIND[,...]", OPTION_LIST, AT(nets),
      .help = "the older spelling of -nic" },
    { "object", NULL, "filter-dump,id=ID,netdev=ID,file=FILE[,queue=all|rx|tx][,maxlen=N]",
      OPTION_LIST, AT(objects), .help = "write a network's frames to a pcap file" },
    { "fsdev", NULL,
      "local,id=ID,path=DIR[,security_model=mapped-xattr|none|passthrough][,readonly=on]"
      "[,fmode=OCTAL][,dmode=OCTAL]",
      OPTION_LIST, AT(fsdevs),
      .help = "a folder to share with the guest by -device virtio-9p-pci,fsdev=ID,mount_tag=TAG" },
    { "virtfs", NULL, "local,path=DIR,mount_tag=TAG[,id=ID][,PROP=VALUE...]", OPTION_LIST,
      AT(virtfses), .help = "a shared folder and its device in one" },
    { "serial", NULL, "DEV", OPTION_LIST, AT(serials),
      .help = "the next serial port: stdio, mon:stdio, file:F, pipe:F, pty, "
              "unix:F[,server,nowait], tcp:HOST:PORT[,server,nowait], "
              "chardev:ID, null or none" },
    { "monitor", NULL, "DEV", OPTION_LIST, AT(monitors),
      .help = "a monitor on a back end as with -serial" },
    { "mon", NULL, "[chardev=]ID[,mode=readline]", OPTION_LIST, AT(mons),
      .help = "a monitor on a -chardev" },
    { "nographic", NULL, NULL, OPTION_FLAG, AT(nographic),
      .help = "serial port and monitor share the terminal (also the default): C-a h is help, C-a x "
              "quits" },
    { "display", NULL, "none", OPTION_STRING, AT(display),
      .help = "none: no window, and nothing on the terminal but what is asked for" },
    { "echr", NULL, "CODE", OPTION_STRING, AT(escape),
      .help = "code of the terminal's escape character instead of C-a's 1" },

    { "S", NULL, NULL, OPTION_FLAG, AT(stopped), .group = "Control and debugging",
      .help = "start stopped; the monitor's cont goes on" },
    { "gdb", NULL, "DEV", OPTION_STRING, AT(gdb),
      .help = "wait for gdb on tcp:HOST:PORT, unix:PATH or another back end" },
    { "s", NULL, NULL, OPTION_MEANS, .means = "gdb", .format = "tcp::1234",
      .help = "short for -gdb tcp::1234" },
    { "d", NULL, "ITEM[,...]", OPTION_STRING, AT(log_items),
      .help = "log the items; -d help lists them" },
    { "D", NULL, "FILE", OPTION_STRING, AT(log_file),
      .help = "log to FILE instead of standard error" },
    { "dfilter", NULL, "RANGE[,...]", OPTION_STRING, AT(log_filter),
      .help = "log code only in guest ranges START..END, START+SIZE" },
    { "one-insn-per-tb", "singlestep", NULL, OPTION_FLAG, AT(one_insn),
      .help = "translate each instruction by itself" },
    { "perfmap", NULL, NULL, OPTION_FLAG, AT(perfmap),
      .help = "write /tmp/perf-PID.map, by which Linux' perf names translated code" },
    { "no-reboot", NULL, NULL, OPTION_FLAG, AT(no_reboot), .help = "exit instead of rebooting" },
    { "pidfile", NULL, "FILE", OPTION_STRING, AT(pidfile), .help = "write the process id to FILE" },
    { "daemonize", NULL, NULL, OPTION_FLAG, AT(daemonize),
      .help = "go to the background when everything is set up" },

    { "sandbox", NULL, "on|off", OPTION_STRING, AT(sandbox),
      .help =
          "on (default): a running machine can only do what its options need; off: anything its "
          "user may" },

    { "vga", NULL, "none", OPTION_ONLY_NONE, .group = "Accepted for scripts written for QEMU",
      .help = "there is no display yet" },
    { "parallel", NULL, "none", OPTION_ONLY_NONE, .help = "there is no parallel port" },
    { "no-user-config", NULL, NULL, OPTION_IGNORED, .help = "there are no configuration files" },

    { "help", "h", NULL, OPTION_FLAG, AT(help), .group = "Information", .help = "this text" },
    { "version", NULL, NULL, OPTION_FLAG, AT(version), .help = "the version" },
    {}
};

/* QEMU's other options. */
static const char *const unsupported[] = { "acpitable",
                                           "action",
                                           "add-fd",
                                           "audio",
                                           "audiodev",
                                           "boot",
                                           "chroot",
                                           "cpu-throttle",
                                           "device-add",
                                           "enable-kvm",
                                           "enable-sync-profile",
                                           "fda",
                                           "fdb",
                                           "full-screen",
                                           "fw_cfg",
                                           "g",
                                           "global",
                                           "hdc",
                                           "hdd",
                                           "incoming",
                                           "iscsi",
                                           "k",
                                           "mem-path",
                                           "mem-prealloc",
                                           "msg",
                                           "mtdblock",
                                           "no-acpi",
                                           "no-hpet",
                                           "no-quit",
                                           "no-shutdown",
                                           "numa",
                                           "old-param",
                                           "only-migratable",
                                           "option-rom",
                                           "overcommit",
                                           "plugin",
                                           "preconfig",
                                           "qmp",
                                           "qmp-pretty",
                                           "readconfig",
                                           "run-with",
                                           "runas",
                                           "sd",
                                           "seed",
                                           "semihosting",
                                           "semihosting-config",
                                           "set",
                                           "show-cursor",
                                           "smbios",
                                           "spice",
                                           "tb-size",
                                           "tpmdev",
                                           "trace",
                                           "usb",
                                           "usbdevice",
                                           "uuid",
                                           "vnc",
                                           "watchdog",
                                           "watchdog-action",
                                           "win2k-hack",
                                           "writeconfig",
                                           "xen-attach",
                                           "xen-domid",
                                           NULL };

static GPtrArray **list_at(Options *opts, size_t offset)
{
    return (GPtrArray **)((char *)opts + offset);
}

static char **string_at(Options *opts, size_t offset)
{
    return (char **)((char *)opts + offset);
}

void options_init(Options *opts)
{
    memset(opts, 0, sizeof(*opts));
    for (const Option *o = option_table; o->name; o++) {
        if (o->kind == OPTION_LIST) {
            *list_at(opts, o->offset) = g_ptr_array_new_with_free_func(g_free);
        }
    }
}

void options_clear(Options *opts)
{
    for (const Option *o = option_table; o->name; o++) {
        if (o->kind == OPTION_LIST) {
            g_clear_pointer(list_at(opts, o->offset), g_ptr_array_unref);
        } else if (o->kind == OPTION_STRING || o->kind == OPTION_JOIN) {
            g_clear_pointer(string_at(opts, o->offset), g_free);
        }
    }
}

static const Option *find_option(const char *name)
{
    for (const Option *o = option_table; o->name; o++) {
        if (!strcmp(o->name, name) || (o->alias && !strcmp(o->alias, name))) {
            return o;
        }
    }
    return NULL;
}

static bool refuse_unknown(const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *dashed = g_strdup_printf("-%s", name);
    g_autofree char *hint = NULL;

    if (g_strv_contains(unsupported, name)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "-%s: not supported yet",
                    name);
        return false;
    }
    for (const Option *o = option_table; o->name; o++) {
        g_ptr_array_add(names, g_strdup_printf("-%s", o->name));
        if (o->alias) {
            g_ptr_array_add(names, g_strdup_printf("-%s", o->alias));
        }
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(dashed, (const char *const *)names->pdata);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "-%s: unknown option%s", name,
                hint);
    return false;
}

static char *double_commas(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

static bool store(Options *opts, const Option *o, const char *arg, GError **error);

/* @arg may be NULL: the format has no %s then. */
static bool store_meaning(Options *opts, const Option *o, const char *arg, GError **error)
{
    const char *hole = strstr(o->format, "%s");
    g_autofree char *quoted = double_commas(arg ? arg : "");
    g_autofree char *text =
        hole ? g_strdup_printf("%.*s%s%s", (int)(hole - o->format), o->format, quoted, hole + 2)
             : g_strdup(o->format);

    return store(opts, find_option(o->means), text, error);
}

static bool store(Options *opts, const Option *o, const char *arg, GError **error)
{
    char **string = string_at(opts, o->offset);
    char *joined;

    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)((char *)opts + o->offset) = true;
        break;
    case OPTION_STRING:
        g_free(*string);
        *string = g_strdup(arg);
        break;
    case OPTION_JOIN:
        joined = *string ? g_strdup_printf("%s,%s", *string, arg) : g_strdup(arg);
        g_free(*string);
        *string = joined;
        break;
    case OPTION_LIST:
        g_ptr_array_add(*list_at(opts, o->offset), g_strdup(arg));
        break;
    case OPTION_MEANS:
        return store_meaning(opts, o, arg, error);
    case OPTION_IGNORED:
        break;
    case OPTION_ONLY_NONE:
        if (strcmp(arg, "none") != 0) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-%s %s: not supported yet (only none is)", o->name, arg);
            return false;
        }
        break;
    }
    return true;
}

bool options_parse(Options *opts, int argc, char **argv, GError **error)
{
    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        const Option *o;

        if (text[0] != '-' || !text[1]) {
            g_autofree char *file = double_commas(text);
            g_autofree char *drive = g_strdup_printf("file=%s,index=0,media=disk", file);

            store(opts, find_option("drive"), drive, NULL);
            continue;
        }
        text += text[1] == '-' ? 2 : 1;
        o = find_option(text);
        if (!o) {
            return refuse_unknown(text, error);
        }
        if (o->arg && i + 1 == argc) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-%s: requires an argument (%s)", text, o->arg);
            return false;
        }
        if (!store(opts, o, o->arg ? argv[++i] : NULL, error)) {
            return false;
        }
    }
    return true;
}

/* ---- --help ---- */

enum { HELP_INDENT = 8, HELP_WIDTH = 100 };

static void append_wrapped(GString *out, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    unsigned column = HELP_WIDTH;

    for (char **w = words; *w; w++) {
        unsigned len = strlen(*w);

        if (column + 1 + len > HELP_WIDTH) {
            g_string_append_printf(out, "%s%*s", w == words ? "" : "\n", HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, *w);
        column += len;
    }
    g_string_append_c(out, '\n');
}

void options_help(const char *program, GString *out)
{
    g_string_append_printf(out, "usage: %s [OPTION...] [DISK-IMAGE]\n", program);
    for (const Option *o = option_table; o->name; o++) {
        if (o->group) {
            g_string_append_printf(out, "\n%s:\n", o->group);
        }
        g_string_append_printf(out, "  -%s", o->name);
        if (o->alias) {
            g_string_append_printf(out, ", -%s", o->alias);
        }
        g_string_append_printf(out, "%s%s\n", o->arg ? " " : "", o->arg ? o->arg : "");
        append_wrapped(out, o->help);
    }
    g_string_append(out, "\nOptions may also begin with two dashes. An id or file name doubles its "
                         "commas in lists.\n");
}

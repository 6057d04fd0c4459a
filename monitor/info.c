/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's "info" commands. What shows a vCPU's own state stops the vCPUs meanwhile.
 */
#include "monitor/monitor-priv.h"

#include <string.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/core/balloon.h"
#include "hw/core/device.h"
#include "hw/core/snapshot.h"
#include "hw/pci/pci.h"
#include "hw/usb/usb.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "ui/input.h"

static void dump_cpu(Cpu *cpu, bool title, GString *out)
{
    if (title) {
        g_string_append_printf(out, "CPU#%u\n", cpu->index);
    }
    cpu->ops->dump(cpu, out);
    if (out->len && out->str[out->len - 1] != '\n') {
        g_string_append_c(out, '\n');
    }
}

static void info_registers(MonitorCall *call)
{
    Cpu *cpu = monitor_cpu(call);

    if (!cpu) {
        return;
    }
    if (*call->args && strcmp(call->args, "-a") != 0) {
        g_string_append_printf(
            call->out, "info registers: unknown argument '%s'; only -a (all CPUs)\n", call->args);
        return;
    }
    cpu_pause_all();
    if (*call->args) {
        for (unsigned i = 0; i < cpus->len; i++) {
            dump_cpu(g_ptr_array_index(cpus, i), true, call->out);
        }
    } else {
        dump_cpu(cpu, false, call->out);
    }
    cpu_resume_all();
}

static void info_cpus(MonitorCall *call)
{
    if (!monitor_cpu(call)) {
        return;
    }
    cpu_pause_all();
    for (unsigned i = 0; i < cpus->len; i++) {
        const Cpu *cpu = g_ptr_array_index(cpus, i);

        g_string_append_printf(call->out, "%c CPU #%u: pc=0x%0*" G_GINT64_MODIFIER "x%s\n",
                               i == *call->cpu_index ? '*' : ' ', i, cpu->ops->address_bits / 4,
                               cpu->pc, cpu->halted ? " (halted)" : "");
    }
    cpu_resume_all();
}

static void info_mtree(MonitorCall *call)
{
    if (*call->args && strcmp(call->args, "-f") != 0) {
        g_string_append_printf(
            call->out, "info mtree: unknown argument '%s'; only -f (flat view)\n", call->args);
        return;
    }
    machine_lock();
    memory_print(call->out, *call->args != '\0');
    machine_unlock();
}

static void info_balloon(MonitorCall *call)
{
    uint64_t bytes;
    bool there;

    machine_lock();
    there = hw_balloon_get(&bytes);
    machine_unlock();
    if (there) {
        g_string_append_printf(call->out, "balloon: actual=%" G_GUINT64_FORMAT "\n", bytes >> 20);
    } else {
        g_string_append(call->out, "The machine has no balloon.\n");
    }
}

static void info_pci(MonitorCall *call)
{
    machine_lock();
    hw_pci_print(call->out);
    machine_unlock();
}

static void info_qtree(MonitorCall *call)
{
    machine_lock();
    hw_devices_print(call->out);
    machine_unlock();
}

static void info_tlb(MonitorCall *call)
{
    Cpu *cpu = monitor_cpu(call);

    if (cpu) {
        cpu_pause_all();
        cpu_tlb_info(cpu, call->out);
        cpu_resume_all();
    }
}

static void info_jit(MonitorCall *call)
{
    cpu_jit_info(call->out);
}

static void info_status(MonitorCall *call)
{
    const char *why = vm_stop_reason();

    g_string_append_printf(call->out, "VM status: %s%s%s%s\n",
                           vm_is_running() ? "running" : "paused", why ? " (" : "", why ? why : "",
                           why ? ")" : "");
}

static void info_version(MonitorCall *call)
{
    g_string_append(call->out, "Menura " MENURA_VERSION "\n");
}

static void info_block(MonitorCall *call)
{
    block_info(call->out);
}

static void info_chardev(MonitorCall *call)
{
    chardev_info(call->out);
}

static void info_snapshots(MonitorCall *call)
{
    hw_snapshot_list(call->out);
}

static void info_mice(MonitorCall *call)
{
    machine_lock();
    input_print_pointers(call->out);
    machine_unlock();
}

static void info_usb(MonitorCall *call)
{
    machine_lock();
    hw_usb_print(call->out);
    machine_unlock();
}

const MonitorCommand monitor_info_commands[] = {
    { "block", NULL, "", "disk and flash images", info_block },
    { "chardev", NULL, "", "character back ends", info_chardev },
    { "network", NULL, "", "network cards and back ends", monitor_info_network },
    { "usernet", NULL, "", "connections of user networks", monitor_info_usernet },
    { "cpus", NULL, "", "CPUs and where they are", info_cpus },
    { "jit", NULL, "", "the translator and its code cache", info_jit },
    { "mice", NULL, "", "pointers, and which of them is moved", info_mice },
    { "mtree", NULL, "[-f]", "the memory map as a tree; -f: flat", info_mtree },
    { "balloon", NULL, "", "memory that the balloon leaves the guest, MiB", info_balloon },
    { "pci", NULL, "", "PCI devices, where they are on their buses and in memory", info_pci },
    { "qtree", NULL, "", "devices, their properties and where they are", info_qtree },
    { "registers", NULL, "[-a]", "registers of the current CPU; -a: of all", info_registers },
    { "snapshots", NULL, "", "what savevm kept", info_snapshots },
    { "status", NULL, "", "whether the machine runs", info_status },
    { "tlb", NULL, "", "cached translations of the current CPU", info_tlb },
    { "usb", NULL, "", "USB devices and where they are plugged in", info_usb },
    { "version", NULL, "", "the emulator's version", info_version },
    {}
};

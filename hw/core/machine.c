/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all machines share: the -M option, checks of -m and -smp, CPUs, the steps of making and
 * booting a machine, and reset.
 */
#include "hw/core/machine.h"
#include <inttypes.h>
#include <string.h>
#include "hw/core/device.h"
#include "hw/core/loader.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "util/keyval.h"
#include "util/size.h"

#define MAX_RAM_32 (2ull << 30) /* for CPUs of 32 bits, whose address space devices share */

enum {
    POOL_SLACK = 8 << 20, /* for the alignment of regions in the RAM pool */
    RAM_GRANULE = 4096,
};

/* Not "hw_machine": GObject's name for the instance initializer is the public function's. */
G_DEFINE_ABSTRACT_TYPE(HwMachine, machine_base, G_TYPE_OBJECT)

GType hw_machine_get_type(void)
{
    return machine_base_get_type();
}

static HwMachine *current;

/* ---- -M ---- */

static bool set_dumpdtb(HwMachine *machine, const char *value, GError **error)
{
    if (!*value) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "a file name is missing");
        return false;
    }
    g_free(machine->dumpdtb);
    machine->dumpdtb = g_strdup(value);
    return true;
}

static const HwMachineProp common_props[] = {
    { "dumpdtb", "write the device tree into this file and end", set_dumpdtb },
    {},
};

static const HwMachineProp *find_in(const HwMachineProp *props, const char *name)
{
    for (; props && props->name; props++) {
        if (!strcmp(props->name, name)) {
            return props;
        }
    }
    return NULL;
}

static void add_names(GPtrArray *names, const HwMachineProp *props)
{
    for (; props && props->name; props++) {
        g_ptr_array_add(names, (void *)props->name);
    }
}

static bool set_props(HwMachine *machine, KeyVals *kv, GError **error)
{
    const HwMachineClass *mc = HW_MACHINE_GET_CLASS(machine);
    g_autofree char *what = g_strdup_printf("-M %s", mc->name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    g_ptr_array_add(names, (void *)"type");
    add_names(names, mc->props);
    add_names(names, common_props);
    g_ptr_array_add(names, NULL);
    if (!keyvals_check(kv, what, (const char *const *)names->pdata, error)) {
        return false;
    }
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);
        const HwMachineProp *prop = find_in(mc->props, key);

        prop = prop ? prop : find_in(common_props, key);
        if (prop && !prop->set(machine, keyvals_value(kv, i), error)) {
            g_prefix_error(error, "%s: %s: ", what, key);
            return false;
        }
    }
    return true;
}

HwMachine *hw_machine_new(const TargetOps *target, const char *option, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(option ? option : "", "type");
    HwMachineClass *mc = hw_machine_find(target, keyvals_get(kv, "type"), error);
    HwMachine *machine;

    if (!mc) {
        return NULL;
    }
    machine = g_object_new(G_TYPE_FROM_CLASS(mc), NULL);
    machine->target = target;
    if (!set_props(machine, kv, error)) {
        g_clear_object(&machine);
    }
    return machine;
}

void hw_machine_list_props(const HwMachineClass *mc, GString *out)
{
    const HwMachineProp *lists[] = { mc->props, common_props };

    g_string_append_printf(out, "%s properties:\n", mc->name);
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (const HwMachineProp *p = lists[i]; p && p->name; p++) {
            g_string_append_printf(out, "  %-16s %s\n", p->name, p->desc);
        }
    }
}

/* ---- Making ---- */

static bool size_error(const HwMachineClass *mc, uint64_t size, const char *relation,
                       uint64_t limit, GError **error)
{
    g_autofree char *asked = size_format(size), *bound = size_format(limit);

    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-m: %s: machine %s takes %s %s",
                asked, mc->name, relation, bound);
    return false;
}

bool hw_machine_memory_limit(HwMachine *machine, uint64_t *max, GError **error)
{
    const HwMachineClass *mc = HW_MACHINE_GET_CLASS(machine);
    HwMachineConfig *config = &machine->config;
    uint64_t max_ram =
        machine->target->address_bits == 32 ? MIN(mc->max_ram, MAX_RAM_32) : mc->max_ram;

    config->n_cpus = config->n_cpus ? config->n_cpus : 1;
    config->ram_size = config->ram_size ? config->ram_size : mc->default_ram;
    if (config->n_cpus > mc->max_cpus) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-smp %u: machine %s has at most %u CPUs", config->n_cpus, mc->name,
                    mc->max_cpus);
        return false;
    }
    if (config->ram_size > max_ram) {
        return size_error(mc, config->ram_size, "at most", max_ram, error);
    }
    if (config->ram_size < mc->min_ram) {
        return size_error(mc, config->ram_size, "at least", mc->min_ram, error);
    }
    if (config->ram_size % RAM_GRANULE) {
        return size_error(mc, config->ram_size, "multiples of", RAM_GRANULE, error);
    }
    *max = config->ram_size + mc->other_memory + POOL_SLACK;
    return true;
}

Cpu *hw_machine_add_cpu(HwMachine *machine, GError **error)
{
    const char *option = machine->config.cpu ? machine->config.cpu : machine->target->default_cpu;
    Cpu *cpu = machine->target->create(option, cpus->len, error);

    if (cpu) {
        cpu_register(cpu);
    }
    return cpu;
}

HwMachine *hw_machine_current(void)
{
    return current;
}

bool hw_machine_init(HwMachine *machine, GError **error)
{
    current = machine;
    if (!HW_MACHINE_GET_CLASS(machine)->init(machine, error)) {
        return false;
    }
    memory_commit();
    return true;
}

/* ---- Booting and reset ---- */

static void machine_reset(void *opaque)
{
    HwMachine *machine = opaque;
    const HwMachineClass *mc = HW_MACHINE_GET_CLASS(machine);

    hw_devices_reset();
    loader_reset();
    cpu_reset_all();
    if (mc->reset) {
        mc->reset(machine);
    }
}

static bool write_dtb(HwMachine *machine, GError **error)
{
    g_autofree uint8_t *blob = NULL;
    size_t size;

    if (!machine->fdt) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-M: dumpdtb: this machine has no device tree");
        return false;
    }
    blob = hw_fdt_pack(machine->fdt, &size);
    if (!g_file_set_contents_full(machine->dumpdtb, (char *)blob, (gssize)size,
                                  G_FILE_SET_CONTENTS_NONE, 0666, error)) {
        g_prefix_error(error, "-M: dumpdtb: ");
        return false;
    }
    return true;
}

bool hw_machine_boot(HwMachine *machine, bool *done, GError **error)
{
    *done = false;
    if (!HW_MACHINE_GET_CLASS(machine)->boot(machine, error)) {
        return false;
    }
    memory_commit();
    if (machine->dumpdtb) {
        *done = true;
        return write_dtb(machine, error);
    }
    vm_set_reset_handler(machine_reset, machine);
    machine_lock();
    machine_reset(machine);
    machine_unlock();
    return true;
}

/* ---- Type ---- */

static void machine_finalize(GObject *object)
{
    HwMachine *machine = HW_MACHINE(object);

    g_free(machine->dumpdtb);
    hw_fdt_free(machine->fdt);
    if (current == machine) {
        current = NULL;
    }
    G_OBJECT_CLASS(machine_base_parent_class)->finalize(object);
}

static void machine_base_init(HwMachine *machine)
{
    (void)machine;
}

static void machine_base_class_init(HwMachineClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = machine_finalize;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines: which CPUs, which devices, what memory map, how to boot. A machine is a GObject derived
 * from HW_TYPE_MACHINE; the list of all is hw/machines.c.
 *
 * The program's start calls, in this order:
 *   hw_machine_new() -> fills machine->config -> memory_init(hw_machine_memory_limit()) ->
 *   cpu_core_init() -> hw_machine_init() -> -device devices are plugged in -> hw_machine_boot() ->
 *   cpu_start_threads() -> vm_start() -> vm_main_loop()
 * hw_machine_boot() loads the guest, finishes the device tree, installs the reset handler and does
 * the first reset.
 */
#ifndef HW_CORE_MACHINE_H
#define HW_CORE_MACHINE_H

#include <glib-object.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/core/fdt.h"
#include "softmmu/cpu.h"

enum { HW_N_SERIALS = 4, HW_N_PFLASH = 2 };

/* What the user asked for. Texts are borrowed for the machine's life; NULL: not given. */
typedef struct HwMachineConfig {
    uint64_t ram_size; /* bytes; 0: the machine's default */
    unsigned n_cpus;   /* 0: 1 */
    const char *cpu;   /* -cpu; NULL: the target's default */
    const char *kernel, *initrd, *append, *dtb;
    const char *bios;             /* NULL: the machine's own firmware; "none"; a file */
    const char *const *data_dirs; /* -L, NULL-terminated; NULL: none */
    const char *name;             /* -name */
    BlockBackend *pflash[HW_N_PFLASH];
    Chardev *serials[HW_N_SERIALS];
    bool icount; /* everything the guest sees at start must be the same in each run */
} HwMachineConfig;

typedef struct HwMachine HwMachine;
typedef struct HwMachineClass HwMachineClass;

struct HwMachine {
    GObject parent;
    const TargetOps *target;
    HwMachineConfig config;
    char *dumpdtb; /* -M ...,dumpdtb=FILE: write the device tree there and end */
    HwFdt *fdt;    /* as hw_machine_boot() made it; NULL: the machine has none */
};

/* A property of -M: "virt,NAME=VALUE". */
typedef struct HwMachineProp {
    const char *name;
    const char *desc;
    /* Takes over the value. False with an error that does not name the machine or property. */
    bool (*set)(HwMachine *machine, const char *value, GError **error);
} HwMachineProp;

struct HwMachineClass {
    GObjectClass parent;
    const char *name; /* as -M spells it */
    const char *desc;
    const char *const *targets; /* names of the TargetOps it runs, NULL-terminated */
    unsigned max_cpus;
    const char *default_nic; /* the card that -nic brings along; NULL: no place for one */
    uint64_t default_ram, min_ram, max_ram;
    uint64_t
        other_memory; /* bytes of ROM, flash and the like, taken from the RAM pool besides RAM */
    const HwMachineProp
        *props; /* ends with a NULL name; NULL: none besides those of all machines */
    /* Makes CPUs (hw_machine_add_cpu), memory and devices. */
    bool (*init)(HwMachine *machine, GError **error);
    /* Loads firmware, kernel and so on as blobs (loader.h), builds the device tree. */
    bool (*boot)(HwMachine *machine, GError **error);
    /* After devices, blobs and CPUs were reset. May be NULL. */
    void (*reset)(HwMachine *machine);
};

GType hw_machine_get_type(void);
#define HW_TYPE_MACHINE         (hw_machine_get_type())
#define HW_MACHINE(o)           (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_MACHINE, HwMachine))
#define HW_MACHINE_CLASS(k)     (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_MACHINE, HwMachineClass))
#define HW_MACHINE_GET_CLASS(o) (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_MACHINE, HwMachineClass))

/* ---- hw/machines.c ---- */

/* All machine types. */
const GType *hw_machine_types(unsigned *n);
/* The class of machine @name (NULL: the default one) for @target, or NULL with an error that
 * names the nearest right one. */
HwMachineClass *hw_machine_find(const TargetOps *target, const char *name, GError **error);
/* "-M help": the machines of @target. */
void hw_machine_list(const TargetOps *target, GString *out);
/* "-M NAME,help": its properties. */
void hw_machine_list_props(const HwMachineClass *mc, GString *out);

/* ---- hw/core/machine.c ---- */

/* The machine of "-M @option" ("virt,dumpdtb=FILE"; NULL: the default one); errors begin with
 * "-M". */
HwMachine *hw_machine_new(const TargetOps *target, const char *option, GError **error);
/* What memory_init() is to be given. Checks -m and -smp against the machine and fills in the
 * defaults. */
bool hw_machine_memory_limit(HwMachine *machine, uint64_t *max, GError **error);
bool hw_machine_init(HwMachine *machine, GError **error);
/* *@done: a property like dumpdtb asked for something that is done now; the program ends with
 * status 0. */
bool hw_machine_boot(HwMachine *machine, bool *done, GError **error);
/* The machine of this process, NULL before hw_machine_init(). */
HwMachine *hw_machine_current(void);

/* For machines: makes and registers the next CPU from config.cpu. NULL: error beginning with
 * "-cpu". */
Cpu *hw_machine_add_cpu(HwMachine *machine, GError **error);

#endif

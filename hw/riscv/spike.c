/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine "spike": DRAM, a CLINT, and HTIF where the guest's ELF file has its symbols tohost
 * and fromhost (or its section .tohost), else at a fixed address. Harts start in machine mode at
 * the entry of -kernel, unless firmware is asked for with -bios.
 */
#include "hw/riscv/spike.h"
#include "hw/intc/clint.h"
#include "hw/misc/htif.h"
#include "hw/riscv/boot.h"
#include "target/riscv/cpu.h"

enum {
    MROM = 0x1000,
    MROM_SIZE = 0xf000,
    HTIF = 0x1000000,
    CLINT = 0x2000000,
    MAX_HARTS = 16,
    FROMHOST_OFFSET = 64, /* of the section .tohost */
};

#define DRAM 0x80000000ull
#define GIB  (1ull << 30)

typedef struct HwRvSpike {
    HwMachine parent;
    MemoryRegion dram, mrom;
    HwDevice *clint, *htif;
} HwRvSpike;

typedef struct HwRvSpikeClass {
    HwMachineClass parent;
} HwRvSpikeClass;

G_DEFINE_TYPE(HwRvSpike, hw_rv_spike, HW_TYPE_MACHINE)

static bool init_memory(HwRvSpike *s, GError **error)
{
    if (!memory_region_init_rom(&s->mrom, "riscv.spike.mrom", MROM_SIZE, NULL, NULL, error) ||
        !memory_region_init_ram(&s->dram, "riscv.spike.ram", s->parent.config.ram_size, error)) {
        return false;
    }
    memory_region_add(memory_system(), MROM, &s->mrom, 0);
    memory_region_add(memory_system(), DRAM, &s->dram, 0);
    return true;
}

static bool spike_init(HwMachine *machine, GError **error)
{
    HwRvSpike *s = (HwRvSpike *)machine;
    unsigned n = machine->config.n_cpus;

    if (!init_memory(s, error)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!hw_machine_add_cpu(machine, error)) {
            return false;
        }
    }
    s->clint = hw_clint_new(n);
    s->htif = hw_htif_new(machine->config.serials[0]);
    if (!hw_device_realize(s->clint, error) || !hw_device_realize(s->htif, error)) {
        return false;
    }
    hw_device_map(s->clint, 0, NULL, CLINT);
    for (unsigned i = 0; i < n; i++) {
        RvCpu *cpu = rv_cpu(g_ptr_array_index(cpus, i));

        hw_clint_connect(s->clint, i, rv_cpu_irq(cpu, RV_IRQ_MSI), rv_cpu_irq(cpu, RV_IRQ_MTI));
        rv_cpu_set_time_source(cpu, hw_clint_time, s->clint, HW_CLINT_FREQ);
    }
    return true;
}

static void find_htif(const RvBoot *boot, uint64_t *tohost, uint64_t *fromhost)
{
    uint64_t addr, size;

    *tohost = HTIF;
    *fromhost = HTIF + 8;
    if (!boot->elf) {
        return;
    }
    if (loader_elf_symbol(boot->elf, "tohost", &addr)) {
        *tohost = addr;
        *fromhost =
            loader_elf_symbol(boot->elf, "fromhost", &addr) ? addr : *tohost + FROMHOST_OFFSET;
    } else if (loader_elf_section(boot->elf, ".tohost", &addr, &size) &&
               size >= FROMHOST_OFFSET + 8) {
        *tohost = addr;
        *fromhost = addr + FROMHOST_OFFSET;
    }
}

/* A file's addresses may be anything: registers must be aligned and apart from each other. */
static bool map_htif(HwRvSpike *s, const RvBoot *boot, GError **error)
{
    uint64_t tohost, fromhost;

    find_htif(boot, &tohost, &fromhost);
    if (tohost % 8 || fromhost % 8 || tohost == fromhost || tohost > UINT64_MAX - 16 ||
        fromhost > UINT64_MAX - 16) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: the symbols tohost and fromhost are not two aligned words",
                    boot->elf->name);
        return false;
    }
    hw_device_map(s->htif, 0, NULL, tohost);
    hw_device_map(s->htif, 1, NULL, fromhost);
    return true;
}

static bool spike_boot(HwMachine *machine, GError **error)
{
    HwRvSpike *s = (HwRvSpike *)machine;
    RvBoot boot = {
        .machine = machine,
        .xlen = machine->target->address_bits,
        .ram_base = DRAM,
        .ram_size = machine->config.ram_size,
    };
    bool ok;

    if (!machine->config.kernel && !machine->config.bios && !machine->dumpdtb) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-M spike: needs -kernel FILE or -bios FILE");
        return false;
    }
    ok = rv_boot_check(&boot, error) &&
         rv_boot_fdt_make(&boot, "ucbbar,spike-bare,menura", "ucbbar,spike-bare-dev", error) &&
         rv_boot_firmware(&boot, error) && rv_boot_kernel(&boot, error) &&
         rv_boot_initrd(&boot, error) && map_htif(s, &boot, error);
    if (ok && !machine->config.dtb) {
        hw_fdt_set_string(machine->fdt, "/chosen", "stdout-path", "/htif");
        HW_DEVICE_GET_CLASS(s->htif)->fdt(s->htif, machine->fdt); /* now it has an address */
    }
    ok = ok && rv_boot_fdt_load(&boot, error) && rv_boot_reset_vector(&boot, MROM, error);
    rv_boot_clear(&boot);
    return ok;
}

static void hw_rv_spike_init(HwRvSpike *s)
{
    (void)s;
}

static void hw_rv_spike_class_init(HwRvSpikeClass *klass)
{
    static const char *const targets[] = { "riscv64", "riscv32", NULL };
    HwMachineClass *mc = HW_MACHINE_CLASS(klass);

    mc->name = "spike";
    mc->desc = "RISC-V Spike board (HTIF), for bare test programs";
    mc->targets = targets;
    mc->max_cpus = MAX_HARTS;
    mc->default_ram = 128 << 20;
    mc->min_ram = 4 << 20;
    mc->max_ram = 64 * GIB;
    mc->other_memory = MROM_SIZE;
    mc->init = spike_init;
    mc->boot = spike_boot;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device tree of a RISC-V machine: the nodes that no device owns (root, chosen, memory, cpus),
 * its place in memory, and what the boot loader's part in it is (command line, initial RAM disk).
 */
#include "hw/riscv/boot.h"
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include "hw/intc/clint.h"
#include "target/riscv/cpu.h"

/* Guests with 32-bit pointers and Sv32 must reach the tree. */
#define FDT_LIMIT (3ull << 30)

enum { FDT_ALIGN = 2 << 20, FDT_ROOM = 64 << 10, SEED_WORDS = 8 };

static void write_cpu(HwFdt *fdt, unsigned i)
{
    RvCpu *cpu = rv_cpu(g_ptr_array_index(cpus, i));
    g_autofree char *node = g_strdup_printf("/cpus/cpu@%x", i);
    g_autofree char *intc = g_strdup_printf("%s/interrupt-controller", node);
    g_autofree char *isa = rv_cpu_isa_string(cpu);
    g_auto(GStrv) extensions = rv_cpu_isa_extensions(cpu);

    hw_fdt_set_string(fdt, node, "device_type", "cpu");
    hw_fdt_set_cell(fdt, node, "reg", i);
    hw_fdt_set_string(fdt, node, "status", "okay");
    hw_fdt_set_string(fdt, node, "compatible", "riscv");
    hw_fdt_set_string(fdt, node, "riscv,isa", isa);
    hw_fdt_set_string(fdt, node, "riscv,isa-base", rv_cpu_isa_base(cpu));
    hw_fdt_set_strings(fdt, node, "riscv,isa-extensions", (const char *const *)extensions);
    if (rv_cpu_cbom_block_size(cpu)) {
        hw_fdt_set_cell(fdt, node, "riscv,cbom-block-size", rv_cpu_cbom_block_size(cpu));
    }
    if (rv_cpu_cboz_block_size(cpu)) {
        hw_fdt_set_cell(fdt, node, "riscv,cboz-block-size", rv_cpu_cboz_block_size(cpu));
    }
    hw_fdt_set_string(fdt, node, "mmu-type", rv_cpu_mmu_type(cpu));
    hw_fdt_phandle(fdt, node);
    hw_fdt_set_cell(fdt, intc, "#interrupt-cells", 1);
    hw_fdt_set_empty(fdt, intc, "interrupt-controller");
    hw_fdt_set_string(fdt, intc, "compatible", "riscv,cpu-intc");
    hw_fdt_phandle(fdt, intc);
}

static void write_topology(HwFdt *fdt)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        g_autofree char *node = g_strdup_printf("/cpus/cpu@%x", i);
        g_autofree char *core = g_strdup_printf("/cpus/cpu-map/cluster0/core%u", i);

        hw_fdt_set_cell(fdt, core, "cpu", hw_fdt_phandle(fdt, node));
    }
}

static void write_cpus(HwFdt *fdt)
{
    hw_fdt_set_cell(fdt, "/cpus", "#address-cells", 1);
    hw_fdt_set_cell(fdt, "/cpus", "#size-cells", 0);
    hw_fdt_set_cell(fdt, "/cpus", "timebase-frequency", HW_CLINT_FREQ);
    for (unsigned i = 0; i < cpus->len; i++) {
        write_cpu(fdt, i);
    }
    write_topology(fdt);
}

/* Entropy for the guest's start; always the same when runs are to be. */
static void write_seed(const RvBoot *boot, HwFdt *fdt)
{
    uint32_t seed[SEED_WORDS] = { 0 };

    if (boot->machine->config.icount ||
        getrandom(seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(1);

        for (unsigned i = 0; i < SEED_WORDS; i++) {
            seed[i] = g_rand_int(rand);
        }
    }
    hw_fdt_set_bytes(fdt, "/chosen", "rng-seed", seed, sizeof(seed));
}

static HwFdt *make_tree(const RvBoot *boot, const char *model, const char *compatible)
{
    g_autofree char *memory = g_strdup_printf("/memory@%" PRIx64, boot->ram_base);
    HwFdt *fdt = hw_fdt_new();

    hw_fdt_set_string(fdt, "/", "compatible", compatible);
    hw_fdt_set_string(fdt, "/", "model", model);
    hw_fdt_add_node(fdt, "/chosen");
    write_seed(boot, fdt);
    hw_fdt_set_string(fdt, memory, "device_type", "memory");
    hw_fdt_set_reg(fdt, memory, boot->ram_base, boot->ram_size);
    write_cpus(fdt);
    hw_fdt_set_cell(fdt, "/soc", "#address-cells", 2);
    hw_fdt_set_cell(fdt, "/soc", "#size-cells", 2);
    hw_fdt_set_string(fdt, "/soc", "compatible", "simple-bus");
    hw_fdt_set_empty(fdt, "/soc", "ranges");
    hw_devices_fdt(fdt);
    return fdt;
}

/* Room for the tree as it is, what is still to be added, and what firmware adds in place. */
static uint64_t room_for(HwFdt *fdt, const char *append)
{
    g_autofree uint8_t *blob = NULL;
    size_t size;

    blob = hw_fdt_pack(fdt, &size);
    return size + FDT_ROOM + (append ? strlen(append) : 0);
}

bool rv_boot_fdt_make(RvBoot *boot, const char *model, const char *compatible, GError **error)
{
    const HwMachineConfig *config = &boot->machine->config;
    uint64_t top = boot->ram_base + boot->ram_size, room;
    HwFdt *fdt = config->dtb ? hw_fdt_load(config->dtb, error) : make_tree(boot, model, compatible);

    if (!fdt) {
        g_prefix_error(error, "-dtb: ");
        return false;
    }
    boot->machine->fdt = fdt;
    room = room_for(fdt, config->append);
    top = boot->ram_base < FDT_LIMIT ? MIN(top, FDT_LIMIT) : top;
    if (room > top - boot->ram_base) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "-m: no room for a device tree of %" PRIu64 " bytes", room);
        return false;
    }
    boot->fdt_addr = MAX((top - room) & ~(uint64_t)(FDT_ALIGN - 1), boot->ram_base);
    return true;
}

bool rv_boot_fdt_load(RvBoot *boot, GError **error)
{
    const HwMachineConfig *config = &boot->machine->config;
    HwFdt *fdt = boot->machine->fdt;
    uint8_t *blob;
    size_t size;

    if (config->append) {
        hw_fdt_set_string(fdt, "/chosen", "bootargs", config->append);
    }
    if (boot->initrd_end) {
        hw_fdt_set_u64(fdt, "/chosen", "linux,initrd-start", boot->initrd_start);
        hw_fdt_set_u64(fdt, "/chosen", "linux,initrd-end", boot->initrd_end);
    }
    blob = hw_fdt_pack(fdt, &size);
    return loader_add_blob(config->dtb ? config->dtb : "device tree", boot->fdt_addr, blob, size, 0,
                           error);
}

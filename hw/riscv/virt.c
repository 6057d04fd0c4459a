/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine "virt": 1-16 harts and the devices of QEMU's machine of that name, at its published
 * addresses and interrupt numbers.
 *
 * Without -bios OpenSBI comes first. A drive in flash bank 0 is what OpenSBI goes on with (EDK2),
 * or with -bios none what the harts start in; a -kernel is then handed to it through fw_cfg. Else
 * OpenSBI goes on with -kernel.
 *
 * Interrupts: a PLIC, or with -M aia=aplic two domains of an APLIC (machine and supervisor level),
 * or with aia=aplic-imsic these and for each hart two interrupt files of an IMSIC, which take the
 * APLIC's messages and those of PCI devices.
 */
#include "hw/riscv/virt.h"
#include <inttypes.h>
#include <string.h>
#include "hw/block/pflash-cfi01.h"
#include "hw/char/serial-16550.h"
#include "hw/intc/aplic.h"
#include "hw/intc/clint.h"
#include "hw/intc/imsic.h"
#include "hw/intc/plic.h"
#include "hw/misc/sifive-test.h"
#include "hw/nvram/fw-cfg.h"
#include "hw/pci/pci-host-ecam.h"
#include "hw/riscv/boot.h"
#include "hw/rtc/goldfish-rtc.h"
#include "hw/virtio/virtio-mmio.h"
#include "target/riscv/cpu.h"
#include "util/suggest.h"

enum {
    MROM = 0x1000,
    MROM_SIZE = 0xf000,
    TEST = 0x100000,
    RTC = 0x101000,
    PCIE_IO = 0x3000000,
    PCIE_IO_SIZE = 0x10000,
    CLINT = 0x2000000,
    PLIC = 0xc000000,
    APLIC_M = 0xc000000,
    APLIC_S = 0xd000000,
    IMSIC_M = 0x24000000,
    IMSIC_S = 0x28000000,
    UART = 0x10000000,
    VIRTIO = 0x10001000,
    FW_CFG = 0x10100000,
    FLASH = 0x20000000,
    FLASH_SIZE = 32 << 20,
    PCIE_ECAM = 0x30000000,
    PCIE_ECAM_SIZE = 0x10000000,
    PCIE_MEM = 0x40000000,
    PCIE_MEM_SIZE = 0x40000000,
    N_VIRTIO = 8,
    N_SOURCES = 95,
    N_APLIC_SOURCES = 96,
    IRQ_VIRTIO = 1,
    IRQ_UART = 10,
    IRQ_RTC = 11,
    IRQ_PCIE = 32,
    MAX_HARTS = 16,
};

#define DRAM 0x80000000ull
#define GIB  (1ull << 30)
/* The window of 64-bit PCI memory: behind the RAM, at a multiple of its size. */
#define PCIE_MEM64_SIZE (16 * GIB)

typedef enum RvAia { AIA_NONE, AIA_APLIC, AIA_APLIC_IMSIC } RvAia;

static const char *const aia_names[] = { "none", "aplic", "aplic-imsic", NULL };

typedef struct HwRvVirt {
    HwMachine parent;
    MemoryRegion dram, mrom;
    RvAia aia;
    HwDevice *clint, *fw_cfg, *flash[HW_N_PFLASH];
    HwDevice *plic, *aplic;    /* one of them, the root domain */
    char *pflash[HW_N_PFLASH]; /* -M pflash0=ID: a -drive's id */
} HwRvVirt;

typedef struct HwRvVirtClass {
    HwMachineClass parent;
} HwRvVirtClass;

G_DEFINE_TYPE(HwRvVirt, hw_rv_virt, HW_TYPE_MACHINE)

/* ---- Making ---- */

static bool init_memory(HwRvVirt *s, GError **error)
{
    if (!memory_region_init_rom(&s->mrom, "riscv_virt_board.mrom", MROM_SIZE, NULL, NULL, error) ||
        !memory_region_init_ram(&s->dram, "riscv_virt_board.ram", s->parent.config.ram_size,
                                error)) {
        return false;
    }
    memory_region_add(memory_system(), MROM, &s->mrom, 0);
    memory_region_add(memory_system(), DRAM, &s->dram, 0);
    return true;
}

/* Realizes @dev and maps its window. */
static bool place(HwDevice *dev, uint64_t addr, GError **error)
{
    if (!hw_device_realize(dev, error)) {
        return false;
    }
    hw_device_map(dev, 0, NULL, addr);
    return true;
}

static Irq *source_input(HwRvVirt *s, unsigned source)
{
    return s->plic ? hw_plic_input(s->plic, source) : hw_aplic_input(s->aplic, source);
}

static void connect(HwRvVirt *s, HwDevice *dev, unsigned source)
{
    hw_device_connect_irq(dev, 0, source_input(s, source), source);
}

static bool init_cpus(HwRvVirt *s, GError **error)
{
    for (unsigned i = 0; i < s->parent.config.n_cpus; i++) {
        if (!hw_machine_add_cpu(&s->parent, error)) {
            return false;
        }
    }
    return true;
}

static RvCpu *hart(unsigned i)
{
    return rv_cpu(g_ptr_array_index(cpus, i));
}

static bool init_plic(HwRvVirt *s, GError **error)
{
    unsigned n = s->parent.config.n_cpus;

    s->plic = hw_plic_new(n, N_SOURCES);
    for (unsigned i = 0; i < n; i++) {
        hw_plic_connect(s->plic, 2 * i, rv_cpu_irq(hart(i), RV_IRQ_MEI));
        hw_plic_connect(s->plic, 2 * i + 1, rv_cpu_irq(hart(i), RV_IRQ_SEI));
    }
    return place(s->plic, PLIC, error);
}

/* The harts' IMSICs: @m and @s have the files of machine and supervisor level. */
static bool init_imsics(HwRvVirt *s, HwDevice **m, HwDevice **sup, GError **error)
{
    unsigned n = s->parent.config.n_cpus;

    *m = hw_imsic_new(n, true);
    *sup = hw_imsic_new(n, false);
    for (unsigned i = 0; i < n; i++) {
        const RvImsic m_file = { hw_imsic_file(*m, i), hw_imsic_topei, hw_imsic_access },
                      s_file = { hw_imsic_file(*sup, i), hw_imsic_topei, hw_imsic_access };

        hw_imsic_connect(*m, i, rv_cpu_irq(hart(i), RV_IRQ_MEI));
        hw_imsic_connect(*sup, i, rv_cpu_irq(hart(i), RV_IRQ_SEI));
        rv_cpu_set_imsic(hart(i), &m_file, &s_file);
    }
    return place(*m, IMSIC_M, error) && place(*sup, IMSIC_S, error);
}

static bool init_aplic(HwRvVirt *s, GError **error)
{
    HwDevice *m_imsic = NULL, *s_imsic = NULL, *child;
    unsigned n = s->parent.config.n_cpus;

    if (s->aia == AIA_APLIC_IMSIC && !init_imsics(s, &m_imsic, &s_imsic, error)) {
        return false;
    }
    s->aplic = hw_aplic_new(n, N_APLIC_SOURCES, m_imsic, NULL);
    child = hw_aplic_new(n, N_APLIC_SOURCES, s_imsic, s->aplic);
    for (unsigned i = 0; i < n && !m_imsic; i++) {
        hw_aplic_connect(s->aplic, i, rv_cpu_irq(hart(i), RV_IRQ_MEI));
        hw_aplic_connect(child, i, rv_cpu_irq(hart(i), RV_IRQ_SEI));
    }
    return place(s->aplic, APLIC_M, error) && place(child, APLIC_S, error);
}

static bool init_interrupts(HwRvVirt *s, GError **error)
{
    unsigned n = s->parent.config.n_cpus;

    s->clint = hw_clint_new(n);
    if (!(s->aia == AIA_NONE ? init_plic(s, error) : init_aplic(s, error)) ||
        !place(s->clint, CLINT, error)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        RvCpu *cpu = hart(i);

        hw_clint_connect(s->clint, i, rv_cpu_irq(cpu, RV_IRQ_MSI), rv_cpu_irq(cpu, RV_IRQ_MTI));
        rv_cpu_set_time_source(cpu, hw_clint_time, s->clint, HW_CLINT_FREQ);
    }
    return true;
}

static bool init_virtio(HwRvVirt *s, GError **error)
{
    /* The first -device takes the slot made first, and guests look for devices in the order of
     * the device tree: from the highest address down, as in QEMU. */
    for (unsigned i = N_VIRTIO; i-- > 0;) {
        HwDevice *dev = hw_virtio_mmio_new(i);

        if (!place(dev, VIRTIO + i * HW_VIRTIO_MMIO_SIZE, error)) {
            return false;
        }
        connect(s, dev, IRQ_VIRTIO + i);
    }
    return true;
}

/* The drive of bank @n (NULL: none) by -M pflash0=ID or -drive if=pflash. */
static bool find_pflash(HwRvVirt *s, unsigned n, BlockBackend **blk, GError **error)
{
    *blk = s->parent.config.pflash[n];
    if (s->pflash[n]) {
        *blk = block_find(s->pflash[n]);
        if (!*blk) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-M virt: pflash%u: no -drive has the id '%s'", n, s->pflash[n]);
            return false;
        }
    }
    return true;
}

static bool init_flash(HwRvVirt *s, GError **error)
{
    static const char *const names[HW_N_PFLASH] = { "virt.flash0", "virt.flash1" };
    BlockBackend *blk;

    for (unsigned i = 0; i < HW_N_PFLASH; i++) {
        if (!find_pflash(s, i, &blk, error)) {
            return false;
        }
        s->flash[i] = hw_pflash_new(names[i], FLASH_SIZE, blk);
        if (!place(s->flash[i], FLASH + (uint64_t)i * FLASH_SIZE, error)) {
            return false;
        }
    }
    return true;
}

static bool init_pci(HwRvVirt *s, GError **error)
{
    uint64_t top = DRAM + s->parent.config.ram_size;
    const HwPciHostMap map = {
        .ecam = PCIE_ECAM,
        .ecam_size = PCIE_ECAM_SIZE,
        .io = PCIE_IO,
        .io_size = PCIE_IO_SIZE,
        .mem = PCIE_MEM,
        .mem_size = PCIE_MEM_SIZE,
        .mem64 = (top + PCIE_MEM64_SIZE - 1) / PCIE_MEM64_SIZE * PCIE_MEM64_SIZE,
        .mem64_size = PCIE_MEM64_SIZE,
    };
    HwDevice *host = hw_pci_host_ecam_new(&map);

    if (!hw_device_realize(host, error)) {
        return false;
    }
    hw_pci_host_ecam_map(host);
    for (unsigned i = 0; i < HW_PCI_N_INTX; i++) {
        hw_device_connect_irq(host, i, source_input(s, IRQ_PCIE + i), IRQ_PCIE + i);
    }
    return true;
}

static bool init_devices(HwRvVirt *s, GError **error)
{
    HwDevice *test = hw_device_new(hw_sifive_test_get_type(), NULL);
    HwDevice *uart = hw_serial_new(s->parent.config.serials[0]);
    HwDevice *rtc = hw_device_new(hw_goldfish_rtc_get_type(), NULL);

    s->fw_cfg = hw_fw_cfg_new();
    if (!place(test, TEST, error) || !place(uart, UART, error) || !place(rtc, RTC, error) ||
        !place(s->fw_cfg, FW_CFG, error)) {
        return false;
    }
    connect(s, uart, IRQ_UART);
    connect(s, rtc, IRQ_RTC);
    return init_pci(s, error) && init_virtio(s, error) && init_flash(s, error);
}

static bool virt_init(HwMachine *machine, GError **error)
{
    HwRvVirt *s = (HwRvVirt *)machine;

    return init_memory(s, error) && init_cpus(s, error) && init_interrupts(s, error) &&
           init_devices(s, error);
}

/* ---- Booting ---- */

static void write_own_nodes(HwRvVirt *s)
{
    HwFdt *fdt = s->parent.fdt;
    g_autofree char *flash = g_strdup_printf("/flash@%x", FLASH);
    const uint32_t reg[] = { 0, FLASH, 0, FLASH_SIZE, 0, FLASH + FLASH_SIZE, 0, FLASH_SIZE };

    hw_fdt_set_string(fdt, flash, "compatible", "cfi-flash");
    hw_fdt_set_cells(fdt, flash, "reg", G_N_ELEMENTS(reg), reg);
    hw_fdt_set_cell(fdt, flash, "bank-width", 4);
    hw_fdt_set_string(fdt, "/chosen", "stdout-path", "/soc/serial@10000000");
}

static bool give_file(HwRvVirt *s, const char *option, const char *path, unsigned size_key,
                      unsigned data_key, GError **error)
{
    LoaderFile *file = loader_file_read(path, UINT32_MAX, error);
    size_t size;

    if (!file) {
        g_prefix_error(error, "%s: ", option);
        return false;
    }
    size = file->size;
    hw_fw_cfg_add_number(s->fw_cfg, (uint16_t)size_key, size, 4);
    hw_fw_cfg_add_item(s->fw_cfg, (uint16_t)data_key,
                       g_bytes_new_take(g_steal_pointer(&file->data), size));
    loader_file_free(file);
    return true;
}

/* -kernel and its company for the firmware in flash. */
static bool give_kernel(HwRvVirt *s, GError **error)
{
    const HwMachineConfig *config = &s->parent.config;
    size_t len = config->append ? strlen(config->append) + 1 : 0;

    if (!give_file(s, "-kernel", config->kernel, HW_FW_CFG_KERNEL_SIZE, HW_FW_CFG_KERNEL_DATA,
                   error) ||
        (config->initrd && !give_file(s, "-initrd", config->initrd, HW_FW_CFG_INITRD_SIZE,
                                      HW_FW_CFG_INITRD_DATA, error))) {
        return false;
    }
    if (len) {
        hw_fw_cfg_add_number(s->fw_cfg, HW_FW_CFG_CMDLINE_SIZE, len, 4);
        hw_fw_cfg_add_item(s->fw_cfg, HW_FW_CFG_CMDLINE_DATA, g_bytes_new(config->append, len));
    }
    return true;
}

static void fill_fw_cfg(HwRvVirt *s)
{
    hw_fw_cfg_add_number(s->fw_cfg, HW_FW_CFG_RAM_SIZE, s->parent.config.ram_size, 8);
    hw_fw_cfg_add_number(s->fw_cfg, HW_FW_CFG_NB_CPUS, s->parent.config.n_cpus, 2);
    hw_fw_cfg_add_number(s->fw_cfg, HW_FW_CFG_MAX_CPUS, s->parent.config.n_cpus, 2);
    hw_fw_cfg_add_number(s->fw_cfg, HW_FW_CFG_NOGRAPHIC, 1, 2);
}

static bool load_guest(HwRvVirt *s, RvBoot *boot, GError **error)
{
    if (!rv_boot_check(boot, error) ||
        !rv_boot_fdt_make(boot, "riscv-virtio,menura", "riscv-virtio", error)) {
        return false;
    }
    if (!s->parent.config.dtb) {
        write_own_nodes(s);
    }
    if (s->parent.dumpdtb) {
        return true; /* no firmware is needed to look at the tree */
    }
    if (!rv_boot_firmware(boot, error)) {
        return false;
    }
    if (hw_pflash_has_drive(s->flash[0])) {
        boot->next = FLASH;
        if (!boot->has_firmware) {
            boot->start = FLASH;
        }
        return !s->parent.config.kernel || give_kernel(s, error);
    }
    return rv_boot_kernel(boot, error) && rv_boot_initrd(boot, error);
}

static bool virt_boot(HwMachine *machine, GError **error)
{
    HwRvVirt *s = (HwRvVirt *)machine;
    RvBoot boot = {
        .machine = machine,
        .xlen = machine->target->address_bits,
        .ram_base = DRAM,
        .ram_size = machine->config.ram_size,
        .default_firmware = true,
    };
    bool ok;

    fill_fw_cfg(s);
    ok = load_guest(s, &boot, error) && rv_boot_fdt_load(&boot, error) &&
         rv_boot_reset_vector(&boot, MROM, error);
    rv_boot_clear(&boot);
    return ok;
}

/* ---- Type ---- */

static bool set_pflash(HwRvVirt *s, unsigned n, const char *id, GError **error)
{
    g_free(s->pflash[n]);
    s->pflash[n] = g_strdup(id);
    return true;
}

static bool set_pflash0(HwMachine *machine, const char *value, GError **error)
{
    return set_pflash((HwRvVirt *)machine, 0, value, error);
}

static bool set_pflash1(HwMachine *machine, const char *value, GError **error)
{
    return set_pflash((HwRvVirt *)machine, 1, value, error);
}

static bool set_aia(HwMachine *machine, const char *value, GError **error)
{
    g_autofree char *tail = NULL;

    for (unsigned i = 0; aia_names[i]; i++) {
        if (!strcmp(value, aia_names[i])) {
            ((HwRvVirt *)machine)->aia = (RvAia)i;
            return true;
        }
    }
    tail = suggest_text(value, aia_names);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "'%s' is not none, aplic or aplic-imsic%s", value, tail);
    return false;
}

static bool set_aia_guests(HwMachine *machine, const char *value, GError **error)
{
    if (strcmp(value, "0")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "'%s' is not 0: harts have no hypervisor extension, so no interrupt files for "
                    "guests",
                    value);
        return false;
    }
    return true;
}

static const HwMachineProp virt_props[] = {
    { "aia", "interrupt controller: none (PLIC), aplic or aplic-imsic", set_aia },
    { "aia-guests", "interrupt files for guests of a hart: 0", set_aia_guests },
    { "pflash0", "id of the drive in flash bank 0", set_pflash0 },
    { "pflash1", "id of the drive in flash bank 1", set_pflash1 },
    {},
};

static void hw_rv_virt_init(HwRvVirt *s)
{
    (void)s;
}

static void hw_rv_virt_class_init(HwRvVirtClass *klass)
{
    static const char *const targets[] = { "riscv64", "riscv32", NULL };
    HwMachineClass *mc = HW_MACHINE_CLASS(klass);

    mc->name = "virt";
    mc->desc = "RISC-V VirtIO board";
    mc->targets = targets;
    mc->max_cpus = MAX_HARTS;
    mc->default_nic = "virtio-net-pci";
    mc->default_ram = 128 << 20;
    mc->min_ram = 4 << 20;
    mc->max_ram = 64 * GIB;
    mc->other_memory = MROM_SIZE + HW_N_PFLASH * (uint64_t)FLASH_SIZE;
    mc->props = virt_props;
    mc->init = virt_init;
    mc->boot = virt_boot;
}

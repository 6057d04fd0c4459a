/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Booting a RISC-V machine: firmware, kernel, initial RAM disk, device tree and the reset vector.
 * The machine fills in where its memory is and calls the steps in their order; each records where
 * things came to lie. Addresses are guest-physical.
 */
#ifndef HW_RISCV_BOOT_H
#define HW_RISCV_BOOT_H

#include "hw/core/device.h"
#include "hw/core/loader.h"
#include "hw/core/machine.h"

typedef struct RvBoot {
    HwMachine *machine;
    unsigned xlen; /* 32 or 64 */
    uint64_t ram_base, ram_size;
    bool default_firmware; /* without -bios: the machine's default is OpenSBI, else none */

    bool has_firmware;
    uint64_t start;        /* where the reset vector jumps to, in machine mode */
    uint64_t next;         /* where the firmware goes on, in supervisor mode; 0: nowhere */
    uint64_t firmware_end; /* one past the firmware in RAM, at least ram_base */
    uint64_t kernel_start, kernel_end; /* with its .bss; 0, 0: none loaded */
    bool raw_kernel;                   /* of no known format */
    uint64_t initrd_start, initrd_end; /* 0, 0: none */
    uint64_t fdt_addr;
    LoaderFile
        *elf; /* the kernel, else the firmware, if it is ELF (symbols); freed by rv_boot_clear() */
} RvBoot;

/* Refuses options that make no sense together (-initrd without -kernel ...). */
bool rv_boot_check(const RvBoot *boot, GError **error);
/* Loads -bios or the default OpenSBI; sets start and firmware_end. */
bool rv_boot_firmware(RvBoot *boot, GError **error);
/* Loads -kernel behind the firmware (ELF: where it is linked) and sets next; without firmware
 * start too. */
bool rv_boot_kernel(RvBoot *boot, GError **error);
/* Loads -initrd between the kernel and the place of the device tree. */
bool rv_boot_initrd(RvBoot *boot, GError **error);
/* A tree from -dtb, or a new one with cpus, memory and chosen nodes and all devices' own ones,
 * as machine->fdt. Sets fdt_addr for a tree of that size, so it comes before rv_boot_kernel()
 * and rv_boot_initrd(). */
bool rv_boot_fdt_make(RvBoot *boot, const char *model, const char *compatible, GError **error);
/* Puts bootargs and initrd into the tree and loads it at fdt_addr. */
bool rv_boot_fdt_load(RvBoot *boot, GError **error);
/* Puts the reset code, which passes hart id, device tree and fw_dynamic information, at @mrom
 * (at most 256 bytes). */
bool rv_boot_reset_vector(RvBoot *boot, uint64_t mrom, GError **error);
void rv_boot_clear(RvBoot *boot);

#endif

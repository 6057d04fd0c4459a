/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware configuration device (QEMU's published "fw_cfg" interface), MMIO form: data at +0, selector at +8, DMA address at
 * +16. Machines put items and files into it before the guest runs; guests only read.
 */
#ifndef HW_NVRAM_FW_CFG_H
#define HW_NVRAM_FW_CFG_H

#include "hw/core/device.h"

GType hw_fw_cfg_get_type(void);

/* Keys of the items that have one of their own. */
enum {
    HW_FW_CFG_SIGNATURE = 0x00,
    HW_FW_CFG_ID = 0x01,
    HW_FW_CFG_UUID = 0x02,
    HW_FW_CFG_RAM_SIZE = 0x03,
    HW_FW_CFG_NOGRAPHIC = 0x04,
    HW_FW_CFG_NB_CPUS = 0x05,
    HW_FW_CFG_KERNEL_ADDR = 0x07,
    HW_FW_CFG_KERNEL_SIZE = 0x08,
    HW_FW_CFG_INITRD_ADDR = 0x0a,
    HW_FW_CFG_INITRD_SIZE = 0x0b,
    HW_FW_CFG_BOOT_MENU = 0x0e,
    HW_FW_CFG_MAX_CPUS = 0x0f,
    HW_FW_CFG_KERNEL_DATA = 0x11,
    HW_FW_CFG_INITRD_DATA = 0x12,
    HW_FW_CFG_CMDLINE_SIZE = 0x14,
    HW_FW_CFG_CMDLINE_DATA = 0x15,
    HW_FW_CFG_KERNEL_SETUP_SIZE = 0x17,
    HW_FW_CFG_KERNEL_SETUP_DATA = 0x18,
    HW_FW_CFG_FILE_DIR = 0x19,
    HW_FW_CFG_FILE_FIRST = 0x20,
};

/* An empty fw_cfg (signature, id and directory only), not yet realized. One window of 0x18 bytes, no interrupt. */
HwDevice *hw_fw_cfg_new(void);
/* Sets the item @key, below HW_FW_CFG_FILE_FIRST; replaces an earlier one. A reference to @data is taken. */
void hw_fw_cfg_add_item(HwDevice *dev, uint16_t key, GBytes *data);
/* A number as the items with keys of their own have it: little-endian, 2 or 4 or 8 bytes. */
void hw_fw_cfg_add_number(HwDevice *dev, uint16_t key, uint64_t value, unsigned bytes);
/* Adds the file @name ("etc/...", "opt/...", at most 55 characters); replaces one of the same name. */
void hw_fw_cfg_add_file(HwDevice *dev, const char *name, GBytes *data);

#endif

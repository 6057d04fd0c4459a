/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallel NOR flash with Intel's command set (CFI 0x0001): one bank of two 16-bit chips side by side on a 32-bit bus.
 */
#ifndef HW_BLOCK_PFLASH_CFI01_H
#define HW_BLOCK_PFLASH_CFI01_H

#include "block/block.h"
#include "hw/core/device.h"

GType hw_pflash_get_type(void);

enum { HW_PFLASH_SECTOR = 256 * 1024 }; /* bytes of the bank that one erase command clears */

/* A bank of @size bytes (a multiple of HW_PFLASH_SECTOR), not yet realized; @name for listings and the device tree ("virt.flash0"),
 * borrowed. @blk (borrowed, NULL: the bank is all zeroes and its contents live in memory only) fills it from its start: a file
 * longer than the bank is an error; what is behind a shorter one is erased (0xff) and locked. One window, no interrupt.
 * The machine writes the device-tree node, since one node may describe several banks. */
HwDevice *hw_pflash_new(const char *name, uint64_t size, BlockBackend *blk);
/* Whether a drive fills the bank. */
bool hw_pflash_has_drive(HwDevice *dev);
/* Host address of the contents, for a machine that boots from it. */
uint8_t *hw_pflash_contents(HwDevice *dev);

#endif

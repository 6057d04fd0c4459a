/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Incoming MSI Controllers (RISC-V AIA 1.0, chapter 3): for each hart an interrupt file of one privilege level, whose page takes interrupt messages
 * and whose registers the hart reaches by its CSRs.
 */
#ifndef HW_INTC_IMSIC_H
#define HW_INTC_IMSIC_H

#include "hw/core/device.h"

GType hw_imsic_get_type(void);

/* The files of @n_harts harts (1-16) for machine level (@mmode) or supervisor level, not yet realized. Pages are in order of harts. */
HwDevice *hw_imsic_new(unsigned n_harts, bool mmode);
/* Where the external interrupt of @hart goes (borrowed). */
void hw_imsic_connect(HwDevice *dev, unsigned hart, Irq *line);
/* Its file, for the functions below; the device's. */
void *hw_imsic_file(HwDevice *dev, unsigned hart);
/* Path of the device tree's node; g_free(). */
char *hw_imsic_fdt_path(HwDevice *dev);

/* ---- What the hart's CSRs do; any thread, no lock ---- */

/* The top interrupt's identity and priority (3.9), 0: none. @claim: clears its pending bit in the same step. */
uint64_t hw_imsic_topei(void *file, bool claim);
/* Register @n (0x70-0xff; 3.8) as a hart of @xlen bits accesses it, for which there are no odd ones of the arrays if it is 64. Sets the bits @mask to
 * those of @value; what it was. */
uint64_t hw_imsic_access(void *file, unsigned n, unsigned xlen, uint64_t value, uint64_t mask);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Core-Local Interruptor: per-hart software interrupts and timers, and the machine's mtime (RISC-V ACLINT specification,
 * the SiFive CLINT layout).
 */
#ifndef HW_INTC_CLINT_H
#define HW_INTC_CLINT_H

#include "hw/core/device.h"

GType hw_clint_get_type(void);

enum { HW_CLINT_FREQ = 10000000 }; /* of mtime, in Hz */

/* A CLINT for @n_harts (1-4095; here at most 16), not yet realized. */
HwDevice *hw_clint_new(unsigned n_harts);
/* Where the interrupts of @hart go (borrowed). */
void hw_clint_connect(HwDevice *dev, unsigned hart, Irq *msip, Irq *mtip);
/* mtime now; @clint is the HwDevice. Any thread, no lock: the time CSR reads it. */
uint64_t hw_clint_time(void *clint);

#endif

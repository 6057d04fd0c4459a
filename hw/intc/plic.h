/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Platform-Level Interrupt Controller (RISC-V PLIC specification 1.0). Context 2n is hart n's machine mode, 2n+1 its supervisor mode.
 */
#ifndef HW_INTC_PLIC_H
#define HW_INTC_PLIC_H

#include "hw/core/device.h"

GType hw_plic_get_type(void);

/* A PLIC for @n_harts (1-16) and sources 1..@n_sources (at most 127), not yet realized. */
HwDevice *hw_plic_new(unsigned n_harts, unsigned n_sources);
/* Where context @context's interrupt goes (borrowed). */
void hw_plic_connect(HwDevice *dev, unsigned context, Irq *line);
/* The input of @source (1..n_sources): a level line, set under the machine lock. */
Irq *hw_plic_input(HwDevice *dev, unsigned source);

#endif

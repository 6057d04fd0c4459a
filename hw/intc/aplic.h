/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Advanced Platform-Level Interrupt Controller (RISC-V AIA 1.0, chapter 4): a device is an interrupt domain. The machine-level root has the wires,
 * and delegates sources to its supervisor-level child.
 */
#ifndef HW_INTC_APLIC_H
#define HW_INTC_APLIC_H

#include "hw/core/device.h"

GType hw_aplic_get_type(void);

/* A domain for @n_harts (1-16) and sources 1..@n_sources (at most 127), not yet realized. @imsic (borrowed, may be NULL) is what it sends its
 * interrupts to as messages; without it delivers them itself. @root: NULL for the machine-level root domain, else that one, which is not realized yet
 * either, and has no other child. */
HwDevice *hw_aplic_new(unsigned n_harts, unsigned n_sources, HwDevice *imsic, HwDevice *root);
/* Where the external interrupt of @hart goes (borrowed), without an IMSIC. */
void hw_aplic_connect(HwDevice *dev, unsigned hart, Irq *line);
/* The input of @source (1..n_sources) of the root domain: a wire, set under the machine lock. */
Irq *hw_aplic_input(HwDevice *dev, unsigned source);

#endif

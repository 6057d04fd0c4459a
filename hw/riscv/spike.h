/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine "spike": what the RISC-V test suites expect: memory, CLINT, and the host interface
 * HTIF. */
#ifndef HW_RISCV_SPIKE_H
#define HW_RISCV_SPIKE_H

#include "hw/core/machine.h"

GType hw_rv_spike_get_type(void);

#endif

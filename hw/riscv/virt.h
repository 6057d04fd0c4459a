/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine "virt": QEMU's published memory map, so that firmware and kernels made for it run
 * unchanged. */
#ifndef HW_RISCV_VIRT_H
#define HW_RISCV_VIRT_H

#include "hw/core/machine.h"

GType hw_rv_virt_get_type(void);

#endif

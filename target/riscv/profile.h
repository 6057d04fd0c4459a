/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The helpers with counters, for TargetOps.counted_helpers.
 */
#ifndef TARGET_RISCV_PROFILE_H
#define TARGET_RISCV_PROFILE_H

#include "target/riscv/helpers.h"

/* In the order of rv_helpers. Each counts in Cpu.helper_calls and does what the helper does. */
extern void (*const rv_counted_helpers[RV_N_HELPERS])(void);

#endif

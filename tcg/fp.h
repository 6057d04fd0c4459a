/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point of generated code. While it runs, the host's rounding mode is the guest's, and the exceptions that the host accrues are
 * the guest's too; helpers with IR_HELPER_FP are called in the host's default environment and OR what they raise to TcgFp.flags.
 *
 * C code on a vCPU's thread between tcg_fp_enter() and tcg_fp_leave() must not compute with floating point: it would round as the guest
 * wants and leave exceptions to it. Device callbacks are wrapped (softmmu/access.c).
 */
#ifndef TCG_FP_H
#define TCG_FP_H

#include <stdbool.h>
#include <stdint.h>
#include "tcg/ir.h"

/* Accrued exceptions (IEEE 754). */
enum {
    TCG_FP_NX = 1,  /* inexact */
    TCG_FP_UF = 2,  /* underflow */
    TCG_FP_OF = 4,  /* overflow */
    TCG_FP_DZ = 8,  /* division by zero */
    TCG_FP_NV = 16, /* invalid operation */
};

enum { TCG_FP_N_CONSTS = 16 };

/* In the Cpu. */
typedef struct TcgFp {
    uint32_t flags; /* TCG_FP_* accrued, but for what the host holds while .live */
    bool live;      /* the host's environment is the guest's */
    uint32_t guest; /* the host's control word for the guest, no exceptions accrued */
    uint32_t host;  /* the host's default */
    uint32_t saved; /* of the guest, while a helper runs */
    /* The host back end's. */
    uint8_t flag_map[64];
    uint64_t consts[TCG_FP_N_CONSTS][2] __attribute__((aligned(16)));
} TcgFp;

/* Round to nearest, nothing accrued. */
void tcg_fp_init(TcgFp *fp);
/* Before and after running generated code on this thread; no nesting. */
void tcg_fp_enter(TcgFp *fp);
void tcg_fp_leave(TcgFp *fp);
/* TCG_FP_* accrued. On the thread that runs the code, or while it does not run. */
unsigned tcg_fp_flags(const TcgFp *fp);
void tcg_fp_set_flags(TcgFp *fp, unsigned flags);
/* Makes @round the mode of IR_ROUND_CURRENT. The host may have none for IR_ROUND_AWAY: then the target must call helpers with
 * that mode named. */
void tcg_fp_set_rounding(TcgFp *fp, IrRound round);

#endif

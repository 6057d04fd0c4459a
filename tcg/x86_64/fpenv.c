/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MXCSR: the host's rounding mode and accrued exceptions, lent to the guest while generated code runs (tcg/fp.h; Intel SDM
 * volume 1, "MXCSR Control and Status Register").
 *
 * The constants of inline floating point live in the Cpu, where position-independent code reaches them.
 */
#include <immintrin.h>
#include <string.h>
#include "tcg/fp.h"
#include "tcg/x86_64/fp-priv.h"

enum {
    MXCSR_DEFAULT = 0x1f80, /* exceptions masked, to nearest, subnormals as they are */
    MXCSR_FLAGS = 0x3f,     /* IE DE ZE OE UE PE */
    MXCSR_RC_SHIFT = 13,
};

/* PE UE OE ZE DE IE from bit 5 down; DE, a subnormal operand, is no exception of IEEE 754. */
static unsigned flags_of(uint32_t mxcsr)
{
    return (mxcsr >> 5 & TCG_FP_NX) | (mxcsr >> 3 & TCG_FP_UF) | (mxcsr >> 1 & TCG_FP_OF) |
           (mxcsr << 1 & TCG_FP_DZ) | (mxcsr << 4 & TCG_FP_NV);
}

void tcg_fp_init(TcgFp *fp)
{
    static const uint64_t consts[X86_N_KS] = {
        [X86_K_NAN] = 0x7ff8000000000000,
        [X86_K_NAN + 1] = 0xffffffff7fc00000,
        [X86_K_SIGN] = 0x8000000000000000,
        [X86_K_SIGN + 1] = 0x80000000,
        [X86_K_ABS] = 0x7fffffffffffffff,
        [X86_K_ABS + 1] = 0xffffffff7fffffff,
        [X86_K_TWO_32] = 0x41f0000000000000,
        [X86_K_TWO_32 + 1] = 0xffffffff4f800000,
        [X86_K_TWO_63] = 0x43e0000000000000,
        [X86_K_TWO_63 + 1] = 0xffffffff5f000000,
        [X86_K_MINUS_1] = 0xbff0000000000000,
        [X86_K_MINUS_1 + 1] = 0xffffffffbf800000,
        [X86_K_ROUNDS_TO_W] = 0x41dfffffffc00000,
        [X86_K_ROUNDS_TO_W + 1] = 0xffffffff4effffff,
        [X86_K_BOX] = X86_BOX,
    };

    g_assert(!((uintptr_t)fp->consts & 15)); /* operands of SSE instructions */
    memset(fp, 0, sizeof(*fp));
    fp->guest = fp->host = MXCSR_DEFAULT;
    for (unsigned i = 0; i <= MXCSR_FLAGS; i++) {
        fp->flag_map[i] = (uint8_t)flags_of(i);
    }
    for (unsigned i = 0; i < X86_N_KS; i++) {
        fp->consts[i][0] = consts[i];
    }
}

void tcg_fp_enter(TcgFp *fp)
{
    _mm_setcsr(fp->guest);
    fp->live = true;
}

void tcg_fp_leave(TcgFp *fp)
{
    fp->flags |= flags_of(_mm_getcsr());
    fp->live = false;
    _mm_setcsr(fp->host);
}

unsigned tcg_fp_flags(const TcgFp *fp)
{
    return fp->flags | (fp->live ? flags_of(_mm_getcsr()) : 0);
}

void tcg_fp_set_flags(TcgFp *fp, unsigned flags)
{
    fp->flags = flags;
    if (fp->live) {
        _mm_setcsr(_mm_getcsr() & ~(uint32_t)MXCSR_FLAGS);
    }
}

void tcg_fp_set_rounding(TcgFp *fp, IrRound round)
{
    static const uint8_t rc[] = { [IR_ROUND_NEAREST] = 0,
                                  [IR_ROUND_ZERO] = 3,
                                  [IR_ROUND_DOWN] = 1,
                                  [IR_ROUND_UP] = 2,
                                  [IR_ROUND_AWAY] = 0 };

    fp->guest = MXCSR_DEFAULT | (uint32_t)rc[round] << MXCSR_RC_SHIFT;
    if (fp->live) {
        _mm_setcsr((_mm_getcsr() & MXCSR_FLAGS) | fp->guest);
    }
}

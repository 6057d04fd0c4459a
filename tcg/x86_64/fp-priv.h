/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The constants that inline floating point keeps in TcgFp.consts: of pairs, double precision first, then single. */
#ifndef TCG_X86_64_FP_PRIV_H
#define TCG_X86_64_FP_PRIV_H

#include "tcg/fp.h"

enum {
    X86_K_NAN = 0, /* the canonical one */
    X86_K_SIGN = 2,
    X86_K_ABS = 4, /* all but the sign */
    X86_K_TWO_32 = 6,
    X86_K_TWO_63 = 8,
    X86_K_MINUS_1 = 10,
    X86_K_ROUNDS_TO_W = 12, /* a smaller magnitude fits 31 bits however it is rounded */
    X86_K_BOX = 14,         /* the upper half of a single-precision value */
    X86_N_KS
};

#define X86_BOX 0xffffffff00000000u

G_STATIC_ASSERT((int)X86_N_KS <= (int)TCG_FP_N_CONSTS);

#endif

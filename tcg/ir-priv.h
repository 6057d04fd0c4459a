/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of tcg/ and the host back ends share beyond tcg/ir.h. */
#ifndef TCG_IR_PRIV_H
#define TCG_IR_PRIV_H

#include "tcg/ir.h"

/* How many of @insn's a, b, c are values (for a call: its helper's arguments). */
unsigned ir_insn_args(const IrBlock *ir, const IrInsn *insn);

#endif

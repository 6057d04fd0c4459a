/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of the M extension. The IR's divisions are total in the way the manual asks for (M
 * extension, "Semantics for division by zero and division overflow"), so nothing is tested here.
 */
#include "target/riscv/translate-priv.h"

static bool op(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_binary(t->ir, op, a, rv_get(t, i->rs2)));
    return true;
}

static bool op_w(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get32(t, i->rs1);

    rv_set32(t, i->rd, ir_binary(t->ir, op, a, rv_get32(t, i->rs2)));
    return true;
}

bool rv_tr_mul(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_MUL);
}

bool rv_tr_mulh(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_MULHS);
}

bool rv_tr_mulhsu(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_MULHSU);
}

bool rv_tr_mulhu(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_MULHU);
}

bool rv_tr_div(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_DIVS);
}

bool rv_tr_divu(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_DIVU);
}

bool rv_tr_rem(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_REMS);
}

bool rv_tr_remu(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_REMU);
}

bool rv_tr_mulw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_MUL);
}

bool rv_tr_divw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_DIVS);
}

bool rv_tr_divuw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_DIVU);
}

bool rv_tr_remw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_REMS);
}

bool rv_tr_remuw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_REMU);
}

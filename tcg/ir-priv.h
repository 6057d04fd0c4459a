/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of tcg/ and the host back ends share beyond tcg/ir.h.
 *
 * The ir_fold functions are the builder's rules (fold.c): each returns the value that stands for
 * the operation about to be built, or IR_NONE after it has put the operands into the form to append
 * (a constant goes to the right).
 */
#ifndef TCG_IR_PRIV_H
#define TCG_IR_PRIV_H

#include "tcg/ir.h"

/* How many of @insn's a, b, c are values (for a call: its helper's arguments). */
static inline unsigned ir_insn_args(const IrBlock *ir, const IrInsn *insn)
{
    if (insn->op == IR_CALL) {
        return ir->target->helpers[(uint32_t)insn->imm].n_args;
    }
    return ir_op_info[insn->op].n_args;
}

/* Whether @insn defines a value. */
static inline bool ir_insn_defines(const IrInsn *insn)
{
    uint8_t result = ir_op_info[insn->op].result;

    return result == 1 || (result == 2 && insn->type != IR_VOID);
}

/* Appends an operation as it is. */
IrVal ir_append(IrBlock *ir, IrOp op, IrType type, IrVal a, IrVal b, IrVal c, uint64_t imm);

IrVal ir_fold_binary(IrBlock *ir, IrOp op, IrVal *a, IrVal *b);
IrVal ir_fold_unary(IrBlock *ir, IrOp op, IrType type, IrVal a);
IrVal ir_fold_setcc(IrBlock *ir, IrCond *cond, IrVal *a, IrVal *b);
IrVal ir_fold_select(IrBlock *ir, IrVal *cond, IrVal *b, IrVal *c);
/* The operands of a compare that leaves the block. True: it never does. */
bool ir_fold_exitcc(IrBlock *ir, IrCond *cond, IrVal *a, IrVal *b);
/* Takes a constant that is added to the address into the displacement; the address that remains. */
IrVal ir_fold_address(const IrBlock *ir, IrVal addr, int32_t *disp);

#endif

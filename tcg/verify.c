/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verifier: whether a block is well formed. Run after the passes in debug builds and on parsed
 * text always, so that everything after it (printer, interpreter, host back ends) may rely on
 * types, order of definitions and numbers being right. It assumes nothing of the block but that
 * insns holds n operations.
 */
#include "tcg/ir-priv.h"

static bool fail(GError **error, const IrBlock *ir, unsigned i, const char *why)
{
    uint8_t op = i < ir->n ? ir->insns[i].op : IR_N_OPS;

    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "IR operation %u (%s): %s", i,
                op < IR_N_OPS ? ir_op_info[op].text : "none", why);
    return false;
}

static bool arg_ok(const IrBlock *ir, unsigned i, IrVal v)
{
    return v < i && ir_insn_defines(&ir->insns[v]);
}

static bool args_ok(const IrBlock *ir, unsigned i)
{
    const IrInsn *insn = &ir->insns[i];
    unsigned n = ir_insn_args(ir, insn);

    return (n < 1 || arg_ok(ir, i, insn->a)) && (n < 2 || arg_ok(ir, i, insn->b)) &&
           (n < 3 || arg_ok(ir, i, insn->c));
}

static bool is_value_type(unsigned type)
{
    return type == IR_I32 || type == IR_I64;
}

static bool call_types_ok(const IrBlock *ir, const IrInsn *insn)
{
    const IrHelper *h = &ir->target->helpers[(uint32_t)insn->imm];
    const IrVal args[3] = { insn->a, insn->b, insn->c };

    for (unsigned i = 0; i < h->n_args; i++) {
        if (ir_type(ir, args[i]) != h->args[i]) {
            return false;
        }
    }
    return insn->type == h->ret;
}

static bool types_ok(const IrBlock *ir, const IrInsn *insn)
{
    IrType a = ir_insn_args(ir, insn) > 0 ? ir_type(ir, insn->a) : IR_VOID;

    switch (insn->op) {
    case IR_GETREG:
        return insn->type == ir->target->regs[insn->imm].type;
    case IR_SETREG:
        return insn->type == a && a == ir->target->regs[insn->imm].type;
    case IR_CONST:
        return is_value_type(insn->type) && (insn->type == IR_I64 || insn->imm <= UINT32_MAX);
    case IR_PCREL:
        return insn->type == IR_I64;
    case IR_SEXT:
    case IR_ZEXT:
        return insn->type == IR_I64 && a == IR_I32;
    case IR_TRUNC:
        return insn->type == IR_I32 && a == IR_I64;
    case IR_CLMUL:
    case IR_CLMULH:
        return insn->type == IR_I64 && a == IR_I64 && ir_type(ir, insn->b) == IR_I64;
    case IR_SELECT:
        return insn->type == ir_type(ir, insn->b) && insn->type == ir_type(ir, insn->c);
    case IR_LOAD:
        return is_value_type(insn->type) && a == IR_I64;
    case IR_STORE:
        return a == IR_I64 && insn->type == ir_type(ir, insn->b);
    case IR_CALL:
        return call_types_ok(ir, insn);
    case IR_GUARD:
        return insn->type == a && !ir->target->helpers[insn->imm].n_args &&
               ir->target->helpers[insn->imm].ret == IR_VOID;
    case IR_EXITIND:
        return insn->type == IR_VOID && a == IR_I64;
    case IR_INSN:
    case IR_FENCE:
    case IR_EXIT:
    case IR_LEAVE:
        return insn->type == IR_VOID;
    default:
        break;
    }
    return insn->type == a && (ir_op_info[insn->op].n_args < 2 || ir_type(ir, insn->b) == a);
}

static bool fits_int32(uint64_t imm)
{
    return (int64_t)imm == (int32_t)imm;
}

static const char *numbers_fault(const IrBlock *ir, const IrInsn *insn)
{
    uint32_t memop = (uint32_t)(insn->imm >> 32);

    switch (insn->op) {
    case IR_GETREG:
    case IR_SETREG:
        return insn->imm < ir->target->n_regs ? NULL : "no such register";
    case IR_CALL:
        return (uint32_t)insn->imm < ir->target->n_helpers ? NULL : "no such helper";
    case IR_GUARD:
        return insn->imm < ir->target->n_helpers ? NULL : "no such helper";
    case IR_SETCC:
        return insn->imm <= IR_GTU ? NULL : "no such condition";
    case IR_EXITCC:
        return memop <= IR_GTU ? NULL : "no such condition";
    case IR_LOAD:
    case IR_STORE:
        if (memop > (IR_MEM_SIZE | IR_MEM_SIGN | IR_MEM_BE | IR_MEM_ALIGN)) {
            return "no such memory operation";
        }
        return insn->type == IR_I32 && (memop & IR_MEM_SIZE) == IR_MEM_64
                   ? "64-bit access of a 32-bit value"
                   : NULL;
    case IR_INSN:
    case IR_EXIT:
        return fits_int32(insn->imm) ? NULL : "page offset out of range";
    case IR_FENCE:
    case IR_LEAVE:
        return insn->imm <= 1 ? NULL : "neither 0 nor 1";
    default:
        return NULL;
    }
}

/* What is wrong with operation @i, or NULL. */
static const char *insn_fault(const IrBlock *ir, unsigned i)
{
    const IrInsn *insn = &ir->insns[i];
    const char *fault;

    if (insn->op >= IR_N_OPS) {
        return "no such operation";
    }
    fault = numbers_fault(ir, insn);
    if (fault) {
        return fault;
    }
    if (!args_ok(ir, i)) {
        return "an argument is not a value defined before";
    }
    if (!types_ok(ir, insn)) {
        return "types do not fit";
    }
    if ((ir_op_info[insn->op].flags & IR_F_END) && i + 1 != ir->n) {
        return "operations after the end";
    }
    return NULL;
}

bool ir_verify(const IrBlock *ir, GError **error)
{
    unsigned n_guest_insns = 0;

    if (ir->n > IR_MAX_INSNS) {
        return fail(error, ir, ir->n, "too many operations");
    }
    for (unsigned i = 0; i < ir->n; i++) {
        const char *fault = insn_fault(ir, i);

        if (fault) {
            return fail(error, ir, i, fault);
        }
        n_guest_insns += ir->insns[i].op == IR_INSN;
    }
    if (!ir->n || !(ir_op_info[ir->insns[ir->n - 1].op].flags & IR_F_END)) {
        return fail(error, ir, ir->n, "the block has no end");
    }
    if (n_guest_insns != ir->n_guest_insns) {
        return fail(error, ir, ir->n, "guest instructions miscounted");
    }
    return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of the base integer instructions (manual: RV32I, RV64I) and of Zicond. The decoder
 * calls these functions; see translate-priv.h for what they may assume.
 */
#include "target/riscv/cpu.h"
#include "target/riscv/translate-priv.h"

/* ---- Shapes ---- */

/* rd = rs1 op rs2. */
static bool op(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_binary(t->ir, op, a, rv_get(t, i->rs2)));
    return true;
}

/* rd = rs1 op imm. */
static bool op_imm(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get(t, i->rs1);

    rv_set(t, i->rd, ir_binary(t->ir, op, a, rv_const(t, i->imm)));
    return true;
}

/* rd = sext(rs1.w op rs2.w). */
static bool op_w(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get32(t, i->rs1);

    rv_set32(t, i->rd, ir_binary(t->ir, op, a, rv_get32(t, i->rs2)));
    return true;
}

/* rd = sext(rs1.w op imm). */
static bool op_imm_w(RvTrans *t, const RvInsn *i, IrOp op)
{
    IrVal a = rv_get32(t, i->rs1);

    rv_set32(t, i->rd, ir_binary(t->ir, op, a, ir_const(t->ir, IR_I32, (uint32_t)i->imm)));
    return true;
}

/* rd = rs1 cond b. */
static bool set_if(RvTrans *t, const RvInsn *i, IrCond cond, IrVal b)
{
    rv_set(t, i->rd, ir_setcc(t->ir, cond, rv_get(t, i->rs1), b));
    return true;
}

/* ---- Constants and addresses ---- */

bool rv_tr_lui(RvTrans *t, const RvInsn *i)
{
    rv_set(t, i->rd, rv_const(t, i->imm));
    return true;
}

bool rv_tr_auipc(RvTrans *t, const RvInsn *i)
{
    rv_set_pcrel(t, i->rd, (int64_t)t->pc + i->imm);
    return true;
}

bool rv_tr_addi(RvTrans *t, const RvInsn *i)
{
    if (i->rs1 && t->pcrel >> i->rs1 & 1) {
        rv_set_pcrel(t, i->rd, t->known[i->rs1] + i->imm);
        return true;
    }
    return op_imm(t, i, IR_ADD);
}

/* ---- Jumps and branches ---- */

/* Without C an odd multiple of 2 is misaligned (IALIGN = 32), and the insn that jumps there
 * raises. */
static bool misaligned(const RvTrans *t, int64_t target)
{
    return (target & 2) && !rv_has(t, RV_EXT_C);
}

bool rv_tr_jal(RvTrans *t, const RvInsn *i)
{
    int64_t target = (int64_t)t->pc + i->imm;

    if (misaligned(t, target)) {
        rv_end_raise(t, RV_EXC_FETCH_ALIGN, rv_address(t, target));
        return true;
    }
    rv_set_pcrel(t, i->rd, t->next);
    rv_jump(t, target);
    return true;
}

/* To @target, a known page offset, or raises. The link register is written in between. */
static void jalr_known(RvTrans *t, const RvInsn *i, int64_t target)
{
    if (misaligned(t, target)) {
        rv_end_raise(t, RV_EXC_FETCH_ALIGN, rv_address(t, target));
        return;
    }
    rv_set_pcrel(t, i->rd, t->next);
    rv_jump(t, target);
}

bool rv_tr_jalr(RvTrans *t, const RvInsn *i)
{
    IrVal target;

    if (i->rs1 && t->pcrel >> i->rs1 & 1) {
        jalr_known(t, i, (t->known[i->rs1] + i->imm) & ~1ll);
        return true;
    }
    target = ir_addi(t->ir, rv_get(t, i->rs1), i->imm);
    target = ir_and(t->ir, target, rv_const(t, ~1ll));
    if (!rv_is_64(t)) {
        target = ir_zext(t->ir, target);
    }
    if (!rv_has(t, RV_EXT_C)) {
        ir_call(t->ir, RV_HELPER_CHECK_JUMP, target, IR_NONE, IR_NONE, 0);
    }
    rv_set_pcrel(t, i->rd, t->next);
    rv_end_indirect(t, target);
    return true;
}

static bool branch(RvTrans *t, const RvInsn *i, IrCond cond)
{
    IrVal a = rv_get(t, i->rs1), b = rv_get(t, i->rs2);
    int64_t target = (int64_t)t->pc + i->imm;

    if (misaligned(t, target)) {
        ir_exitcc(t->ir, ir_cond_invert(cond), a, b, t->next);
        rv_end_raise(t, RV_EXC_FETCH_ALIGN, rv_address(t, target));
        return true;
    }
    ir_exitcc(t->ir, cond, a, b, (int32_t)target);
    return true;
}

bool rv_tr_beq(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_EQ);
}

bool rv_tr_bne(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_NE);
}

bool rv_tr_blt(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_LT);
}

bool rv_tr_bge(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_GE);
}

bool rv_tr_bltu(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_LTU);
}

bool rv_tr_bgeu(RvTrans *t, const RvInsn *i)
{
    return branch(t, i, IR_GEU);
}

/* ---- Loads and stores ---- */

/* A load to x0 still faults. */
static bool load(RvTrans *t, const RvInsn *i, uint32_t memop)
{
    rv_set(t, i->rd, rv_load(t, t->xl, i->rs1, i->imm, memop));
    return true;
}

static bool store(RvTrans *t, const RvInsn *i, uint32_t memop)
{
    rv_store(t, i->rs1, i->imm, memop, rv_get(t, i->rs2));
    return true;
}

bool rv_tr_lb(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_8 | IR_MEM_SIGN);
}

bool rv_tr_lh(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_16 | IR_MEM_SIGN);
}

bool rv_tr_lw(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_32 | IR_MEM_SIGN);
}

bool rv_tr_ld(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_64);
}

bool rv_tr_lbu(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_8);
}

bool rv_tr_lhu(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_16);
}

bool rv_tr_lwu(RvTrans *t, const RvInsn *i)
{
    return load(t, i, IR_MEM_32);
}

bool rv_tr_sb(RvTrans *t, const RvInsn *i)
{
    return store(t, i, IR_MEM_8);
}

bool rv_tr_sh(RvTrans *t, const RvInsn *i)
{
    return store(t, i, IR_MEM_16);
}

bool rv_tr_sw(RvTrans *t, const RvInsn *i)
{
    return store(t, i, IR_MEM_32);
}

bool rv_tr_sd(RvTrans *t, const RvInsn *i)
{
    return store(t, i, IR_MEM_64);
}

/* ---- Arithmetic with an immediate ---- */

bool rv_tr_slti(RvTrans *t, const RvInsn *i)
{
    return set_if(t, i, IR_LT, rv_const(t, i->imm));
}

bool rv_tr_sltiu(RvTrans *t, const RvInsn *i)
{
    return set_if(t, i, IR_LTU, rv_const(t, i->imm));
}

bool rv_tr_xori(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_XOR);
}

bool rv_tr_ori(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_OR);
}

bool rv_tr_andi(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_AND);
}

bool rv_tr_slli(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_SHL);
}

bool rv_tr_srli(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_SHR);
}

bool rv_tr_srai(RvTrans *t, const RvInsn *i)
{
    return op_imm(t, i, IR_SAR);
}

bool rv_tr_addiw(RvTrans *t, const RvInsn *i)
{
    return op_imm_w(t, i, IR_ADD);
}

bool rv_tr_slliw(RvTrans *t, const RvInsn *i)
{
    return op_imm_w(t, i, IR_SHL);
}

bool rv_tr_srliw(RvTrans *t, const RvInsn *i)
{
    return op_imm_w(t, i, IR_SHR);
}

bool rv_tr_sraiw(RvTrans *t, const RvInsn *i)
{
    return op_imm_w(t, i, IR_SAR);
}

/* ---- Arithmetic of registers; shift counts are taken modulo the width by the IR ---- */

bool rv_tr_add(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_ADD);
}

bool rv_tr_sub(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_SUB);
}

bool rv_tr_sll(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_SHL);
}

bool rv_tr_slt(RvTrans *t, const RvInsn *i)
{
    return set_if(t, i, IR_LT, rv_get(t, i->rs2));
}

bool rv_tr_sltu(RvTrans *t, const RvInsn *i)
{
    return set_if(t, i, IR_LTU, rv_get(t, i->rs2));
}

bool rv_tr_xor(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_XOR);
}

bool rv_tr_srl(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_SHR);
}

bool rv_tr_sra(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_SAR);
}

bool rv_tr_or(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_OR);
}

bool rv_tr_and(RvTrans *t, const RvInsn *i)
{
    return op(t, i, IR_AND);
}

bool rv_tr_addw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_ADD);
}

bool rv_tr_subw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_SUB);
}

bool rv_tr_sllw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_SHL);
}

bool rv_tr_srlw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_SHR);
}

bool rv_tr_sraw(RvTrans *t, const RvInsn *i)
{
    return op_w(t, i, IR_SAR);
}

/* ---- Zicond ---- */

bool rv_tr_czero_eqz(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get(t, i->rs1), b = rv_get(t, i->rs2);

    rv_set(t, i->rd, ir_select(t->ir, b, a, rv_const(t, 0)));
    return true;
}

bool rv_tr_czero_nez(RvTrans *t, const RvInsn *i)
{
    IrVal a = rv_get(t, i->rs1), b = rv_get(t, i->rs2);

    rv_set(t, i->rd, ir_select(t->ir, b, rv_const(t, 0), a));
    return true;
}

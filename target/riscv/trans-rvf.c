/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of F, D, Zfhmin and Zfa. Loads, stores and moves are integer operations; all else is
 * calls of helpers over fpu.h (fp-helper.c), most of which the host back end does inline.
 *
 * f slots are 64 bits and narrower values are NaN-boxed (D extension, "NaN Boxing of Narrower
 * Values").
 *
 * mstatus.FS: off makes every insn here illegal, which is asked once a block (need_fp()).
 */
#include "target/riscv/fpu.h"
#include "target/riscv/translate-priv.h"

static const uint64_t box_s = 0xffffffff00000000, box_h = 0xffffffffffff0000;

/* ---- State and rounding mode ---- */

void rv_need_fp(RvTrans *t)
{
    if (!t->has_fp) {
        ir_guard(t->ir, ir_getreg(t->ir, RV_REG_FP_READY), RV_HELPER_FP_ENABLE);
        t->has_fp = true;
    }
}

static unsigned frm(const RvTrans *t)
{
    return (t->mode & RV_MODE_FRM_MASK) >> RV_MODE_FRM_SHIFT;
}

/* Modes 5 and 6 are reserved; 7 is frm, which may hold a reserved one itself. */
static bool rounding_legal(const RvTrans *t, const RvInsn *i)
{
    return i->rm <= RV_RM_RMM || (i->rm == 7 && frm(t) <= RV_RM_RMM);
}

/* What to tell the helper, so that a host back end that does its work finds the host in the right mode: frm's as often as
 * possible. But the host does not have RMM. */
static unsigned rounding(const RvTrans *t, const RvInsn *i)
{
    unsigned rm = i->rm == 7 ? frm(t) : i->rm;

    return rm == frm(t) && rm != RV_RM_RMM ? 7 : rm;
}

/* ---- Registers ---- */

static IrVal get_f(RvTrans *t, unsigned n)
{
    return ir_getreg(t->ir, RV_REG_F0 + n);
}

static void set_f(RvTrans *t, unsigned n, IrVal v)
{
    ir_setreg(t->ir, RV_REG_F0 + n, v);
}

static IrVal const64(RvTrans *t, uint64_t value)
{
    return ir_const(t->ir, IR_I64, value);
}

/* ---- Loads, stores, moves ---- */

/* fd = M[rs1 + imm], boxed by @box. */
static bool load_f(RvTrans *t, const RvInsn *i, uint32_t memop, uint64_t box)
{
    IrVal v;

    rv_need_fp(t);
    v = rv_load(t, IR_I64, i->rs1, i->imm, memop);
    set_f(t, i->rd, ir_or(t->ir, v, const64(t, box)));
    return true;
}

static bool store_f(RvTrans *t, const RvInsn *i, uint32_t memop)
{
    rv_need_fp(t);
    rv_store(t, i->rs1, i->imm, memop, get_f(t, i->rs2));
    return true;
}

bool rv_tr_flh(RvTrans *t, const RvInsn *i)
{
    return load_f(t, i, IR_MEM_16, box_h);
}

bool rv_tr_flw(RvTrans *t, const RvInsn *i)
{
    return load_f(t, i, IR_MEM_32, box_s);
}

bool rv_tr_fld(RvTrans *t, const RvInsn *i)
{
    return load_f(t, i, IR_MEM_64, 0);
}

bool rv_tr_fsh(RvTrans *t, const RvInsn *i)
{
    return store_f(t, i, IR_MEM_16);
}

bool rv_tr_fsw(RvTrans *t, const RvInsn *i)
{
    return store_f(t, i, IR_MEM_32);
}

bool rv_tr_fsd(RvTrans *t, const RvInsn *i)
{
    return store_f(t, i, IR_MEM_64);
}

bool rv_tr_fmv_x_h(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    rv_set_result(t, i->rd, ir_unary(t->ir, IR_SEXT16, get_f(t, i->rs1)));
    return true;
}

bool rv_tr_fmv_x_w(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    rv_set32(t, i->rd, ir_trunc(t->ir, get_f(t, i->rs1)));
    return true;
}

bool rv_tr_fmv_x_d(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    rv_set(t, i->rd, get_f(t, i->rs1));
    return true;
}

bool rv_tr_fmvh_x_d(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    rv_set_result(t, i->rd, ir_binary(t->ir, IR_SHR, get_f(t, i->rs1), const64(t, 32)));
    return true;
}

bool rv_tr_fmv_h_x(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    set_f(t, i->rd, ir_or(t->ir, rv_get_arg(t, i->rs1), const64(t, box_h)));
    return true;
}

bool rv_tr_fmv_w_x(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    set_f(t, i->rd, ir_or(t->ir, rv_get_arg(t, i->rs1), const64(t, box_s)));
    return true;
}

bool rv_tr_fmv_d_x(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    set_f(t, i->rd, rv_get(t, i->rs1));
    return true;
}

bool rv_tr_fmvp_d_x(RvTrans *t, const RvInsn *i)
{
    IrVal low, high;

    rv_need_fp(t);
    low = rv_get_arg(t, i->rs1);
    high = ir_binary(t->ir, IR_SHL, rv_get_arg(t, i->rs2), const64(t, 32));
    set_f(t, i->rd, ir_or(t->ir, high, low));
    return true;
}

/* ---- Shapes of the helper calls ---- */

/* fd = helper(fs1, fs2) rounded by rm. */
static bool arith2(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a;

    if (!rounding_legal(t, i)) {
        return false;
    }
    rv_need_fp(t);
    a = get_f(t, i->rs1);
    set_f(t, i->rd, ir_call(t->ir, helper, a, get_f(t, i->rs2), IR_NONE, rounding(t, i)));
    return true;
}

/* fd = helper(fs1) rounded by rm. */
static bool arith1(RvTrans *t, const RvInsn *i, unsigned helper)
{
    if (!rounding_legal(t, i)) {
        return false;
    }
    rv_need_fp(t);
    IrVal a = get_f(t, i->rs1);

    set_f(t, i->rd, ir_call(t->ir, helper, a, IR_NONE, IR_NONE, rounding(t, i)));
    return true;
}

/* fd = helper(fs1, fs2, fs3) rounded by rm. */
static bool arith3(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a, b;

    if (!rounding_legal(t, i)) {
        return false;
    }
    rv_need_fp(t);
    a = get_f(t, i->rs1);
    b = get_f(t, i->rs2);
    set_f(t, i->rd, ir_call(t->ir, helper, a, b, get_f(t, i->rs3), rounding(t, i)));
    return true;
}

/* fd = helper(fs1, fs2), no rounding mode. */
static bool select2(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a;

    rv_need_fp(t);
    a = get_f(t, i->rs1);
    set_f(t, i->rd, ir_call(t->ir, helper, a, get_f(t, i->rs2), IR_NONE, 0));
    return true;
}

/* rd = helper(fs1, fs2); writes fflags. */
static bool compare(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal a;

    rv_need_fp(t);
    a = get_f(t, i->rs1);
    rv_set_result(t, i->rd, ir_call(t->ir, helper, a, get_f(t, i->rs2), IR_NONE, 0));
    return true;
}

/* rd = helper(fs1) rounded by rm. */
static bool to_int(RvTrans *t, const RvInsn *i, unsigned helper)
{
    if (!rounding_legal(t, i)) {
        return false;
    }
    rv_need_fp(t);
    /* Truncation, which C programs mean, has instructions of its own on most hosts. */
    unsigned rm = i->rm == RV_RM_RTZ ? RV_RM_RTZ : rounding(t, i);

    rv_set_result(t, i->rd, ir_call(t->ir, helper, get_f(t, i->rs1), IR_NONE, IR_NONE, rm));
    return true;
}

/* fd = helper(rs1) rounded by rm. */
static bool from_int(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal x;

    if (!rounding_legal(t, i)) {
        return false;
    }
    rv_need_fp(t);
    x = rv_get_arg(t, i->rs1);
    set_f(t, i->rd, ir_call(t->ir, helper, x, IR_NONE, IR_NONE, rounding(t, i)));
    return true;
}

/* ---- Sign injection: NaNs keep their payload ---- */

bool rv_tr_fsgnj_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FSGNJ_S);
}

bool rv_tr_fsgnjn_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FSGNJN_S);
}

bool rv_tr_fsgnjx_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FSGNJX_S);
}

bool rv_tr_fsgnj_d(RvTrans *t, const RvInsn *i)
{
    if (i->rs1 != i->rs2) {
        return select2(t, i, RV_HELPER_FSGNJ_D);
    }
    rv_need_fp(t);
    set_f(t, i->rd, get_f(t, i->rs1));
    return true;
}

bool rv_tr_fsgnjn_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FSGNJN_D);
}

bool rv_tr_fsgnjx_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FSGNJX_D);
}

/* ---- Arithmetic ---- */

bool rv_tr_fadd_s(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FADD_S);
}

bool rv_tr_fsub_s(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FSUB_S);
}

bool rv_tr_fmul_s(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FMUL_S);
}

bool rv_tr_fdiv_s(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FDIV_S);
}

bool rv_tr_fsqrt_s(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FSQRT_S);
}

bool rv_tr_fmadd_s(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FMADD_S);
}

bool rv_tr_fmsub_s(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FMSUB_S);
}

bool rv_tr_fnmsub_s(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FNMSUB_S);
}

bool rv_tr_fnmadd_s(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FNMADD_S);
}

bool rv_tr_fmin_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMIN_S);
}

bool rv_tr_fmax_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMAX_S);
}

bool rv_tr_fminm_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMINM_S);
}

bool rv_tr_fmaxm_s(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMAXM_S);
}

bool rv_tr_fround_s(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FROUND_S);
}

bool rv_tr_froundnx_s(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FROUNDNX_S);
}

bool rv_tr_fadd_d(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FADD_D);
}

bool rv_tr_fsub_d(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FSUB_D);
}

bool rv_tr_fmul_d(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FMUL_D);
}

bool rv_tr_fdiv_d(RvTrans *t, const RvInsn *i)
{
    return arith2(t, i, RV_HELPER_FDIV_D);
}

bool rv_tr_fsqrt_d(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FSQRT_D);
}

bool rv_tr_fmadd_d(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FMADD_D);
}

bool rv_tr_fmsub_d(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FMSUB_D);
}

bool rv_tr_fnmsub_d(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FNMSUB_D);
}

bool rv_tr_fnmadd_d(RvTrans *t, const RvInsn *i)
{
    return arith3(t, i, RV_HELPER_FNMADD_D);
}

bool rv_tr_fmin_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMIN_D);
}

bool rv_tr_fmax_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMAX_D);
}

bool rv_tr_fminm_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMINM_D);
}

bool rv_tr_fmaxm_d(RvTrans *t, const RvInsn *i)
{
    return select2(t, i, RV_HELPER_FMAXM_D);
}

bool rv_tr_fround_d(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FROUND_D);
}

bool rv_tr_froundnx_d(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FROUNDNX_D);
}

/* ---- Comparison and classification ---- */

bool rv_tr_feq_s(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FEQ_S);
}

bool rv_tr_flt_s(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLT_S);
}

bool rv_tr_fle_s(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLE_S);
}

bool rv_tr_fltq_s(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLTQ_S);
}

bool rv_tr_fleq_s(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLEQ_S);
}

bool rv_tr_feq_d(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FEQ_D);
}

bool rv_tr_flt_d(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLT_D);
}

bool rv_tr_fle_d(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLE_D);
}

bool rv_tr_fltq_d(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLTQ_D);
}

bool rv_tr_fleq_d(RvTrans *t, const RvInsn *i)
{
    return compare(t, i, RV_HELPER_FLEQ_D);
}

/* Pure: writes no FP state. */
static bool classify(RvTrans *t, const RvInsn *i, unsigned helper)
{
    rv_need_fp(t);
    rv_set_result(t, i->rd, ir_call(t->ir, helper, get_f(t, i->rs1), IR_NONE, IR_NONE, 0));
    return true;
}

bool rv_tr_fclass_s(RvTrans *t, const RvInsn *i)
{
    return classify(t, i, RV_HELPER_FCLASS_S);
}

bool rv_tr_fclass_d(RvTrans *t, const RvInsn *i)
{
    return classify(t, i, RV_HELPER_FCLASS_D);
}

/* ---- Conversion ---- */

bool rv_tr_fcvt_w_s(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_W_S);
}

bool rv_tr_fcvt_wu_s(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_WU_S);
}

bool rv_tr_fcvt_l_s(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_L_S);
}

bool rv_tr_fcvt_lu_s(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_LU_S);
}

bool rv_tr_fcvt_s_w(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_S_W);
}

bool rv_tr_fcvt_s_wu(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_S_WU);
}

bool rv_tr_fcvt_s_l(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_S_L);
}

bool rv_tr_fcvt_s_lu(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_S_LU);
}

bool rv_tr_fcvt_w_d(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_W_D);
}

bool rv_tr_fcvt_wu_d(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_WU_D);
}

bool rv_tr_fcvt_l_d(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_L_D);
}

bool rv_tr_fcvt_lu_d(RvTrans *t, const RvInsn *i)
{
    return to_int(t, i, RV_HELPER_FCVT_LU_D);
}

bool rv_tr_fcvt_d_w(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_D_W);
}

bool rv_tr_fcvt_d_wu(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_D_WU);
}

bool rv_tr_fcvt_d_l(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_D_L);
}

bool rv_tr_fcvt_d_lu(RvTrans *t, const RvInsn *i)
{
    return from_int(t, i, RV_HELPER_FCVT_D_LU);
}

bool rv_tr_fcvt_s_d(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_S_D);
}

bool rv_tr_fcvt_d_s(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_D_S);
}

bool rv_tr_fcvt_s_h(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_S_H);
}

bool rv_tr_fcvt_d_h(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_D_H);
}

bool rv_tr_fcvt_h_s(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_H_S);
}

bool rv_tr_fcvt_h_d(RvTrans *t, const RvInsn *i)
{
    return arith1(t, i, RV_HELPER_FCVT_H_D);
}

bool rv_tr_fcvtmod_w_d(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    IrVal v = ir_call(t->ir, RV_HELPER_FCVTMOD_W_D, get_f(t, i->rs1), IR_NONE, IR_NONE, 0);

    rv_set_result(t, i->rd, v);
    return true;
}

/* ---- Zfa constants ---- */

bool rv_tr_fli_s(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    set_f(t, i->rd, const64(t, rv_fpu_fli_s(i->uimm)));
    return true;
}

bool rv_tr_fli_d(RvTrans *t, const RvInsn *i)
{
    rv_need_fp(t);
    set_f(t, i->rd, const64(t, rv_fpu_fli_d(i->uimm)));
    return true;
}

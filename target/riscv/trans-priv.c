/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of the system instructions: CSRs, environment calls, returns from traps, fences,
 * cache-block operations (manual: Zicsr, Zifencei, CMO; privileged manual: machine and supervisor
 * instructions, Svinval). All work is in helpers; here is decided what ends a block.
 */
#include "target/riscv/translate-priv.h"

/* ---- CSRs ---- */

enum {
    CSR_FFLAGS = 0x001,
    CSR_FRM = 0x002,
    CSR_FCSR = 0x003,
    CSR_STVEC = 0x105,
    CSR_SSCRATCH = 0x140,
    CSR_SEPC = 0x141,
    CSR_SCAUSE = 0x142,
    CSR_STVAL = 0x143,
    CSR_SISELECT = 0x150,
    CSR_STOPEI = 0x15c,
    CSR_MTVEC = 0x305,
    CSR_MSCRATCH = 0x340,
    CSR_MEPC = 0x341,
    CSR_MCAUSE = 0x342,
    CSR_MTVAL = 0x343,
    CSR_MISELECT = 0x350,
    CSR_MTOPEI = 0x35c,
};

/* Whether a write may change the mode, translation, memory protection, or which interrupts are
 * taken. */
static bool write_ends_block(unsigned csr)
{
    switch (csr) {
    case CSR_FFLAGS:
    case CSR_STVEC:
    case CSR_SSCRATCH:
    case CSR_SEPC:
    case CSR_SCAUSE:
    case CSR_STVAL:
    case CSR_SISELECT:
    case CSR_STOPEI:
    case CSR_MTVEC:
    case CSR_MSCRATCH:
    case CSR_MEPC:
    case CSR_MCAUSE:
    case CSR_MTVAL:
    case CSR_MISELECT:
    case CSR_MTOPEI:
        return false;
    default:
        return true;
    }
}

/* fflags, which C libraries save and restore around compares, is done inline. */
static bool is_fflags(const RvTrans *t, const RvInsn *i)
{
    return i->csr == CSR_FFLAGS && rv_has(t, RV_EXT_F);
}

static bool read_csr(RvTrans *t, const RvInsn *i)
{
    if (is_fflags(t, i)) {
        rv_need_fp(t);
        rv_set_result(t, i->rd, ir_call(t->ir, RV_HELPER_FRFLAGS, IR_NONE, IR_NONE, IR_NONE, 0));
        return true;
    }
    rv_set_result(t, i->rd, ir_call(t->ir, RV_HELPER_CSRR, IR_NONE, IR_NONE, IR_NONE, i->csr));
    return true;
}

/* Calls @helper, which writes; without @reads it returns nothing. */
static bool write_csr(RvTrans *t, const RvInsn *i, unsigned helper, IrVal v)
{
    IrVal old;

    old = ir_call(t->ir, helper, v, IR_NONE, IR_NONE, i->csr);
    if (old != IR_NONE) {
        rv_set_result(t, i->rd, old);
    }
    if (write_ends_block(i->csr)) {
        rv_end_system(t, t->next);
    }
    return true;
}

/* CSRRW with rd = x0 does not read the CSR. */
static bool swap_csr(RvTrans *t, const RvInsn *i, IrVal v)
{
    if (is_fflags(t, i)) {
        IrVal old = IR_NONE;

        rv_need_fp(t);
        if (i->rd) {
            old = ir_call(t->ir, RV_HELPER_FRFLAGS, IR_NONE, IR_NONE, IR_NONE, 0);
        }
        ir_call(t->ir, RV_HELPER_FSFLAGS, v, IR_NONE, IR_NONE, 0);
        if (i->rd) {
            rv_set_result(t, i->rd, old);
        }
        return true;
    }
    return write_csr(t, i, i->rd ? RV_HELPER_CSRRW : RV_HELPER_CSRW, v);
}

bool rv_tr_csrrw(RvTrans *t, const RvInsn *i)
{
    return swap_csr(t, i, rv_get_arg(t, i->rs1));
}

/* CSRRS and CSRRC with rs1 = x0 do not write. */
bool rv_tr_csrrs(RvTrans *t, const RvInsn *i)
{
    if (!i->rs1) {
        return read_csr(t, i);
    }
    return write_csr(t, i, RV_HELPER_CSRRS, rv_get_arg(t, i->rs1));
}

bool rv_tr_csrrc(RvTrans *t, const RvInsn *i)
{
    if (!i->rs1) {
        return read_csr(t, i);
    }
    return write_csr(t, i, RV_HELPER_CSRRC, rv_get_arg(t, i->rs1));
}

static IrVal uimm(RvTrans *t, const RvInsn *i)
{
    return ir_const(t->ir, IR_I64, i->uimm);
}

bool rv_tr_csrrwi(RvTrans *t, const RvInsn *i)
{
    return swap_csr(t, i, uimm(t, i));
}

bool rv_tr_csrrsi(RvTrans *t, const RvInsn *i)
{
    if (!i->uimm) {
        return read_csr(t, i);
    }
    return write_csr(t, i, RV_HELPER_CSRRS, uimm(t, i));
}

bool rv_tr_csrrci(RvTrans *t, const RvInsn *i)
{
    if (!i->uimm) {
        return read_csr(t, i);
    }
    return write_csr(t, i, RV_HELPER_CSRRC, uimm(t, i));
}

/* ---- Traps and returns ---- */

/* Enters the trap without unwinding: the helper returns with pc and context set. */
bool rv_tr_ecall(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_ECALL, rv_address(t, t->pc), IR_NONE, IR_NONE, 0);
    rv_end_pc_set(t);
    return true;
}

bool rv_tr_ebreak(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_EBREAK, rv_address(t, t->pc), IR_NONE, IR_NONE, 0);
    rv_end_system(t, t->next);
    return true;
}

/* A helper without arguments that sets the pc. */
static bool trap_return(RvTrans *t, unsigned helper)
{
    ir_call(t->ir, helper, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_end_pc_set(t);
    return true;
}

bool rv_tr_mret(RvTrans *t, const RvInsn *i)
{
    return trap_return(t, RV_HELPER_MRET);
}

bool rv_tr_sret(RvTrans *t, const RvInsn *i)
{
    return trap_return(t, RV_HELPER_SRET);
}

bool rv_tr_wfi(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_WFI, rv_address(t, t->next), IR_NONE, IR_NONE, 0);
    rv_end_pc_set(t);
    return true;
}

/* ---- Fences ---- */

/* The host keeps all orders but store before load (W or O in pred, R or I in succ). FENCE.TSO
 * does not ask for it. */
bool rv_tr_fence(RvTrans *t, const RvInsn *i)
{
    enum { FM_TSO = 8, PRED_STORES = 5, SUCC_LOADS = 10, PRED_W = 1 };

    if (!i->fm && i->pred == PRED_W && !i->succ && !i->rd && !i->rs1) { /* pause */
        ir_call(t->ir, RV_HELPER_PAUSE, IR_NONE, IR_NONE, IR_NONE, 0);
        return true;
    }
    ir_fence(t->ir, i->fm != FM_TSO && i->pred & PRED_STORES && i->succ & SUCC_LOADS);
    return true;
}

/* Ends the block: its own code may have been stored to. */
bool rv_tr_fence_i(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_FENCE_I, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_end_system(t, t->next);
    return true;
}

static bool fence_vma(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal va = rv_get_arg(t, i->rs1), asid = rv_get_arg(t, i->rs2);

    ir_call(t->ir, helper, va, asid, IR_NONE, (i->rs1 ? 1 : 0) | (i->rs2 ? 2 : 0));
    rv_end_system(t, t->next);
    return true;
}

bool rv_tr_sfence_vma(RvTrans *t, const RvInsn *i)
{
    return fence_vma(t, i, RV_HELPER_SFENCE_VMA);
}

bool rv_tr_sinval_vma(RvTrans *t, const RvInsn *i)
{
    return fence_vma(t, i, RV_HELPER_SINVAL_VMA);
}

bool rv_tr_sfence_w_inval(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_SFENCE_INVAL, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_end_system(t, t->next);
    return true;
}

bool rv_tr_sfence_inval_ir(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_SFENCE_INVAL, IR_NONE, IR_NONE, IR_NONE, 1);
    rv_end_system(t, t->next);
    return true;
}

/* ---- Cache-block operations ---- */

static bool cache_block(RvTrans *t, const RvInsn *i, unsigned helper)
{
    ir_call(t->ir, helper, rv_get_arg(t, i->rs1), IR_NONE, IR_NONE, 0);
    return true;
}

bool rv_tr_cbo_inval(RvTrans *t, const RvInsn *i)
{
    return cache_block(t, i, RV_HELPER_CBO_INVAL);
}

bool rv_tr_cbo_clean(RvTrans *t, const RvInsn *i)
{
    return cache_block(t, i, RV_HELPER_CBO_CLEAN);
}

bool rv_tr_cbo_flush(RvTrans *t, const RvInsn *i)
{
    return cache_block(t, i, RV_HELPER_CBO_FLUSH);
}

bool rv_tr_cbo_zero(RvTrans *t, const RvInsn *i)
{
    return cache_block(t, i, RV_HELPER_CBO_ZERO);
}

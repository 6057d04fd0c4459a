/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of the A extension and Zawrs: calls of the helpers in atomic-helper.c. The helpers'
 * host atomics order everything before against everything after them; the host's plain loads and
 * stores have acquire and release semantics, so aq and rl ask for nothing more, except for a
 * load-reserved that must stay behind earlier stores (rl).
 */
#include "target/riscv/translate-priv.h"

static bool load_reserved(RvTrans *t, const RvInsn *i, unsigned helper)
{
    if (i->rl) {
        ir_fence(t->ir, true);
    }
    rv_set_result(t, i->rd, ir_call(t->ir, helper, rv_get_arg(t, i->rs1), IR_NONE, IR_NONE, 0));
    return true;
}

/* rd = helper(rs1, rs2). */
static bool atomic(RvTrans *t, const RvInsn *i, unsigned helper)
{
    IrVal va = rv_get_arg(t, i->rs1);

    rv_set_result(t, i->rd, ir_call(t->ir, helper, va, rv_get_arg(t, i->rs2), IR_NONE, 0));
    return true;
}

bool rv_tr_lr_w(RvTrans *t, const RvInsn *i)
{
    return load_reserved(t, i, RV_HELPER_LR_W);
}

bool rv_tr_lr_d(RvTrans *t, const RvInsn *i)
{
    return load_reserved(t, i, RV_HELPER_LR_D);
}

bool rv_tr_sc_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_SC_W);
}

bool rv_tr_sc_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_SC_D);
}

bool rv_tr_amoswap_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOSWAP_W);
}

bool rv_tr_amoadd_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOADD_W);
}

bool rv_tr_amoxor_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOXOR_W);
}

bool rv_tr_amoand_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOAND_W);
}

bool rv_tr_amoor_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOOR_W);
}

bool rv_tr_amomin_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMIN_W);
}

bool rv_tr_amomax_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMAX_W);
}

bool rv_tr_amominu_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMINU_W);
}

bool rv_tr_amomaxu_w(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMAXU_W);
}

bool rv_tr_amoswap_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOSWAP_D);
}

bool rv_tr_amoadd_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOADD_D);
}

bool rv_tr_amoxor_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOXOR_D);
}

bool rv_tr_amoand_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOAND_D);
}

bool rv_tr_amoor_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOOR_D);
}

bool rv_tr_amomin_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMIN_D);
}

bool rv_tr_amomax_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMAX_D);
}

bool rv_tr_amominu_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMINU_D);
}

bool rv_tr_amomaxu_d(RvTrans *t, const RvInsn *i)
{
    return atomic(t, i, RV_HELPER_AMOMAXU_D);
}

/* ---- Zawrs ---- */

bool rv_tr_wrs_nto(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_WRS, IR_NONE, IR_NONE, IR_NONE, 0);
    rv_end_system(t, t->next);
    return true;
}

bool rv_tr_wrs_sto(RvTrans *t, const RvInsn *i)
{
    ir_call(t->ir, RV_HELPER_WRS, IR_NONE, IR_NONE, IR_NONE, 1);
    rv_end_system(t, t->next);
    return true;
}

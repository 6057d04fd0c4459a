/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of the floating-point instructions: fpu.h's pure functions on the hart's accrued
 * exceptions (TcgFp.flags has fflags' bits), with the insn's rm field resolved. The translator has
 * refused reserved modes, in the insn and in frm (RV_MODE_FRM_MASK).
 */
#include "target/riscv/cpu.h"
#include "target/riscv/fpu.h"

static uint32_t *fflags(Cpu *cpu)
{
    return &cpu->fp.flags;
}

/* The rounding mode of rm field @rm; 7: the one in frm. */
static unsigned rounding(Cpu *cpu, uint32_t rm)
{
    return rm == 7 ? rv_cpu(cpu)->frm : rm;
}

uint64_t rv_helper_frflags(Cpu *cpu, uint32_t constant)
{
    return tcg_fp_flags(&cpu->fp);
}

void rv_helper_fsflags(Cpu *cpu, uint64_t value, uint32_t constant)
{
    tcg_fp_set_flags(&cpu->fp, value & 31);
}

uint64_t rv_helper_fadd_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fadd_s(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fsub_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fsub_s(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fmul_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fmul_s(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fdiv_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fdiv_s(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fsqrt_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fsqrt_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fmadd_s(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fmadd_s(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fmsub_s(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fmsub_s(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fnmsub_s(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fnmsub_s(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fnmadd_s(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fnmadd_s(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fmin_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmin_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fmax_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmax_s(fflags(cpu), a, b);
}

uint64_t rv_helper_feq_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_feq_s(fflags(cpu), a, b);
}

uint64_t rv_helper_flt_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_flt_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fle_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fle_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fclass_s(Cpu *cpu, uint64_t a, uint32_t constant)
{
    return rv_fpu_fclass_s(a);
}

uint64_t rv_helper_fcvt_w_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_w_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_wu_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_wu_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_l_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_l_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_lu_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_lu_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_s_w(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_w(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_s_wu(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_wu(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_s_l(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_l(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_s_lu(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_lu(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fadd_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fadd_d(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fsub_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fsub_d(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fmul_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fmul_d(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fdiv_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t rm)
{
    return rv_fpu_fdiv_d(fflags(cpu), rounding(cpu, rm), a, b);
}

uint64_t rv_helper_fsqrt_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fsqrt_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fmadd_d(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fmadd_d(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fmsub_d(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fmsub_d(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fnmsub_d(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fnmsub_d(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fnmadd_d(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t rm)
{
    return rv_fpu_fnmadd_d(fflags(cpu), rounding(cpu, rm), a, b, c);
}

uint64_t rv_helper_fmin_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmin_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fmax_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmax_d(fflags(cpu), a, b);
}

uint64_t rv_helper_feq_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_feq_d(fflags(cpu), a, b);
}

uint64_t rv_helper_flt_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_flt_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fle_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fle_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fclass_d(Cpu *cpu, uint64_t a, uint32_t constant)
{
    return rv_fpu_fclass_d(a);
}

uint64_t rv_helper_fcvt_s_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_w_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_w_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_wu_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_wu_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_l_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_l_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_lu_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_lu_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_w(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_w(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_wu(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_wu(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_l(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_l(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_lu(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_lu(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_s_h(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_s_h(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_d_h(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_d_h(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_h_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_h_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvt_h_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fcvt_h_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fminm_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fminm_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fmaxm_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmaxm_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fminm_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fminm_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fmaxm_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fmaxm_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fround_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fround_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_froundnx_s(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_froundnx_s(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fround_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_fround_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_froundnx_d(Cpu *cpu, uint64_t a, uint32_t rm)
{
    return rv_fpu_froundnx_d(fflags(cpu), rounding(cpu, rm), a);
}

uint64_t rv_helper_fcvtmod_w_d(Cpu *cpu, uint64_t a, uint32_t constant)
{
    return rv_fpu_fcvtmod_w_d(fflags(cpu), a);
}

uint64_t rv_helper_fleq_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fleq_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fltq_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fltq_s(fflags(cpu), a, b);
}

uint64_t rv_helper_fleq_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fleq_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fltq_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fltq_d(fflags(cpu), a, b);
}

uint64_t rv_helper_fsgnj_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnj_s(a, b);
}

uint64_t rv_helper_fsgnj_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnj_d(a, b);
}

uint64_t rv_helper_fsgnjn_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnjn_s(a, b);
}

uint64_t rv_helper_fsgnjn_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnjn_d(a, b);
}

uint64_t rv_helper_fsgnjx_s(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnjx_s(a, b);
}

uint64_t rv_helper_fsgnjx_d(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant)
{
    return rv_fpu_fsgnjx_d(a, b);
}

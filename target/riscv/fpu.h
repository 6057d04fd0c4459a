/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RISC-V floating-point operations as plain C functions: one function an instruction of the F, D,
 * Zfa and Zfhmin extensions (loads, stores and bit moves excepted). The translator calls them as
 * helpers; nothing here knows the Cpu.
 *
 * Operands and results named "a", "b", "c" or returned by F-register instructions are whole 64-bit
 * f registers (FLEN = 64): a narrower value is NaN-boxed, an operand that is not properly boxed
 * counts as the canonical NaN, and results are boxed (manual: D extension, "NaN Boxing of Narrower
 * Values"). Integer operands and results are x registers; 32-bit integer results are sign-extended,
 * 32-bit integer operands are the low half of the register.
 *
 * @fflags is a word to which the accrued exception flags (RV_FFLAG_*) are ORed; other bits of it
 * are kept.
 * @rm is the resolved rounding mode, 0 to 4 (RV_RM_*): the caller has replaced DYN by frm and
 * refused reserved modes.
 *
 * The host thread must run with its default floating-point environment (round to nearest,
 * exceptions masked, no FTZ/DAZ), and the functions leave it so; the host's own sticky flags are
 * clobbered.
 *
 * RV32 uses the same functions: x results are then truncated by the caller.
 */
#ifndef TARGET_RISCV_FPU_H
#define TARGET_RISCV_FPU_H

#include <stdint.h>

/* fcsr.fflags (F extension, "Floating-Point Control and Status Register"). */
enum {
    RV_FFLAG_NX = 1,  /* inexact */
    RV_FFLAG_UF = 2,  /* underflow: tiny after rounding, and inexact */
    RV_FFLAG_OF = 4,  /* overflow */
    RV_FFLAG_DZ = 8,  /* division by zero */
    RV_FFLAG_NV = 16, /* invalid operation */
};

/* fcsr.frm and the rm field. */
enum {
    RV_RM_RNE = 0, /* nearest, ties to even */
    RV_RM_RTZ = 1, /* towards zero */
    RV_RM_RDN = 2, /* down */
    RV_RM_RUP = 3, /* up */
    RV_RM_RMM = 4, /* nearest, ties away from zero */
};

/* ---- Arithmetic (fpu-arith.c). NaN results are the canonical NaN. ---- */

/* a + b, a - b, a * b, a / b and the square root of a, single precision. */
uint64_t rv_fpu_fadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmul_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fdiv_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fsqrt_s(uint32_t *fflags, unsigned rm, uint64_t a);

/* The same in double precision. */
uint64_t rv_fpu_fadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmul_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fdiv_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b);
uint64_t rv_fpu_fsqrt_d(uint32_t *fflags, unsigned rm, uint64_t a);

/* Fused, rounded once: fmadd (a*b)+c, fmsub (a*b)-c, fnmsub -(a*b)+c, fnmadd -(a*b)-c. */
uint64_t rv_fpu_fmadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fmsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fnmsub_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fnmadd_s(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fmadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fmsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fnmsub_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t rv_fpu_fnmadd_d(uint32_t *fflags, unsigned rm, uint64_t a, uint64_t b, uint64_t c);

/* ---- Conversions. All take @rm as their instructions do, also those that never round. ---- */

/* Double to single precision (fpu-arith.c). */
uint64_t rv_fpu_fcvt_s_d(uint32_t *fflags, unsigned rm, uint64_t a);
/* Single to double precision; exact (fpu-convert.c, as all that follow). */
uint64_t rv_fpu_fcvt_d_s(uint32_t *fflags, unsigned rm, uint64_t a);
/* From and to half precision (Zfhmin). */
uint64_t rv_fpu_fcvt_s_h(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_d_h(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_h_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_h_d(uint32_t *fflags, unsigned rm, uint64_t a);

/* To integers: out of range is clipped with NV, NaN gives the greatest integer (F extension, table
 * "Domains of float-to-integer conversions"). The result of the W and WU forms is sign-extended
 * from 32 bits. */
uint64_t rv_fpu_fcvt_w_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_wu_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_l_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_lu_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_w_d(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_wu_d(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_l_d(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fcvt_lu_d(uint32_t *fflags, unsigned rm, uint64_t a);
/* Zfa: towards zero, modulo 2^32, sign-extended; the flags of fcvt.w.d. */
uint64_t rv_fpu_fcvtmod_w_d(uint32_t *fflags, uint64_t a);

/* From integers; the W and WU forms use the low 32 bits of @x. */
uint64_t rv_fpu_fcvt_s_w(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_s_wu(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_s_l(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_s_lu(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_d_w(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_d_wu(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_d_l(uint32_t *fflags, unsigned rm, uint64_t x);
uint64_t rv_fpu_fcvt_d_lu(uint32_t *fflags, unsigned rm, uint64_t x);

/* Zfa: rounds to an integer in the same format; froundnx also sets NX if the value changed. */
uint64_t rv_fpu_fround_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_froundnx_s(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_fround_d(uint32_t *fflags, unsigned rm, uint64_t a);
uint64_t rv_fpu_froundnx_d(uint32_t *fflags, unsigned rm, uint64_t a);

/* ---- Comparisons and bits (fpu-compare.c) ---- */

/* Minimum and maximum number: -0 < +0, one NaN operand is passed over; NV for a signaling NaN. */
uint64_t rv_fpu_fmin_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmax_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmin_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmax_d(uint32_t *fflags, uint64_t a, uint64_t b);
/* Zfa: as above, but the canonical NaN if either operand is a NaN. */
uint64_t rv_fpu_fminm_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmaxm_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fminm_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fmaxm_d(uint32_t *fflags, uint64_t a, uint64_t b);

/* Compare: 1 or 0 for an x register. flt and fle set NV for any NaN; feq, fltq and fleq (Zfa) only
 * for a signaling one. */
uint64_t rv_fpu_feq_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_flt_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fle_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fltq_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fleq_s(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_feq_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_flt_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fle_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fltq_d(uint32_t *fflags, uint64_t a, uint64_t b);
uint64_t rv_fpu_fleq_d(uint32_t *fflags, uint64_t a, uint64_t b);

/* The 10-bit class mask for an x register (F extension, table "Format of result of FCLASS"); pure.
 */
uint64_t rv_fpu_fclass_s(uint64_t a);
uint64_t rv_fpu_fclass_d(uint64_t a);

/* @a with the sign of @b (fsgnj), its opposite (fsgnjn), the exclusive or of both (fsgnjx); pure,
 * NaNs keep their payload. */
uint64_t rv_fpu_fsgnj_s(uint64_t a, uint64_t b);
uint64_t rv_fpu_fsgnjn_s(uint64_t a, uint64_t b);
uint64_t rv_fpu_fsgnjx_s(uint64_t a, uint64_t b);
uint64_t rv_fpu_fsgnj_d(uint64_t a, uint64_t b);
uint64_t rv_fpu_fsgnjn_d(uint64_t a, uint64_t b);
uint64_t rv_fpu_fsgnjx_d(uint64_t a, uint64_t b);

/* Zfa: constant number @index (the rs1 field, 0 to 31); pure. The translator may fold it. */
uint64_t rv_fpu_fli_s(unsigned index);
uint64_t rv_fpu_fli_d(unsigned index);

#endif

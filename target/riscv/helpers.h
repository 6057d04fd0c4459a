/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every C function that translated RISC-V code may call: the one list from which the numbers
 * (RV_HELPER_*), the prototypes and the IrHelper table (helpers.c) are made.
 *
 * A helper is `ret f(Cpu *cpu, uint64_t args..., uint32_t constant)`; its signature letter says I
 * (returns an x or f register's 64 bits) or V (void) and the number of arguments. An RV32 result
 * is sign-extended by the translator.
 *
 * Flags: IR_HELPER_FAULTS ones may raise an exception: cpu_restore_state() gives pc and
 * RvCpu.insn (the insn's bits, from TargetOps.restore), then the trap, then cpu_loop_exit(). A
 * helper without FAULTS must return and must not look at the pc. No helper but those with READS
 * may look at x and f registers in the struct, none but those with WRITES may change them.
 *
 * System helpers marked "ends" below are followed by the end of the block: the code leaves for
 * Cpu.pc through the jump cache of the then current context, polling exit_request. Those marked
 * "sets pc" must store Cpu.pc themselves before they return; for the others the translator stores
 * the next insn's pc after the call. All must themselves make the right context current if the
 * mode changed (cpu_set_context), and call cpu_kick(cpu) if an interrupt became deliverable.
 */
#ifndef TARGET_RISCV_HELPERS_H
#define TARGET_RISCV_HELPERS_H

#include "softmmu/cpu.h"
#include "tcg/ir.h"

typedef uint64_t RvHelperI0(Cpu *cpu, uint32_t constant);
typedef uint64_t RvHelperI1(Cpu *cpu, uint64_t a, uint32_t constant);
typedef uint64_t RvHelperI2(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant);
typedef uint64_t RvHelperI3(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t constant);
typedef void RvHelperV0(Cpu *cpu, uint32_t constant);
typedef void RvHelperV1(Cpu *cpu, uint64_t a, uint32_t constant);
typedef void RvHelperV2(Cpu *cpu, uint64_t a, uint64_t b, uint32_t constant);

/* X(number, function, signature, flags, inlined (IrFp)) */

/* Privileged architecture and CSRs (trap.c, csr.c ...).
 *   raise       synchronous exception: a = tval, constant = cause; never returns
 *   check_jump  raises instruction address misaligned if a has bit 1 set (IALIGN = 32)
 *   ecall       a = pc of the insn. Does not unwind: enters the trap (context) and returns; sets
 *               pc, ends
 *   ebreak      a = pc of the insn
 *   csr*        constant = CSR number; a = new value or mask; the old value is returned. csrr
 *               does not write, csrw does not read (no read side effects). All check access and
 *               raise illegal instruction. Those of CSRs that may change mode, translation or
 *               interrupts end (write_ends_block() in trans-priv.c); fflags, scratch, epc, cause,
 *               tval, tvec do not, so their writes must not change any of these
 *   fp_enable   before floating point while mstatus.FS is not Dirty: raises if it is off, else makes it
 *               Dirty
 *   mret, sret  raise if not allowed; set pc, end
 *   wfi         a = pc of the next insn. Raises if not allowed; sets pc, then cpu_halt() unless
 *               has_work; ends
 *   pause       a spinning hart lets others run
 *   wrs         constant 0: wrs.nto, 1: wrs.sto; may return at once; ends
 *   sfence_vma  a = address, b = ASID (the registers' values), constant bit 0: rs1 != x0, bit 1:
 *               rs2 != x0; ends
 *   sinval_vma  the same for Svinval; ends
 *   sfence_inval  sfence.w.inval (constant 0), sfence.inval.ir (1): the privilege check; ends
 *   fence_i     ends
 *   cbo_*       a = any address in the block */
#define RV_HELPERS_SYSTEM(X)                                                            \
    X(RV_HELPER_RAISE, rv_helper_raise, V1, IR_HELPER_FAULTS, IR_FP_NONE)               \
    X(RV_HELPER_CHECK_JUMP, rv_helper_check_jump, V1, IR_HELPER_FAULTS, IR_FP_NONE)     \
    X(RV_HELPER_ECALL, rv_helper_ecall, V1, 0, IR_FP_NONE)                              \
    X(RV_HELPER_EBREAK, rv_helper_ebreak, V1,                                           \
      IR_HELPER_FAULTS | IR_HELPER_READS | IR_HELPER_WRITES, IR_FP_NONE)                \
    X(RV_HELPER_CSRR, rv_helper_csrr, I0, IR_HELPER_FAULTS, IR_FP_NONE)                 \
    X(RV_HELPER_CSRW, rv_helper_csrw, V1, IR_HELPER_FAULTS, IR_FP_NONE)                 \
    X(RV_HELPER_CSRRW, rv_helper_csrrw, I1, IR_HELPER_FAULTS, IR_FP_NONE)               \
    X(RV_HELPER_CSRRS, rv_helper_csrrs, I1, IR_HELPER_FAULTS, IR_FP_NONE)               \
    X(RV_HELPER_CSRRC, rv_helper_csrrc, I1, IR_HELPER_FAULTS, IR_FP_NONE)               \
    X(RV_HELPER_FP_ENABLE, rv_helper_fp_enable, V0, IR_HELPER_FAULTS, IR_FP_NONE)       \
    X(RV_HELPER_MRET, rv_helper_mret, V0, IR_HELPER_FAULTS, IR_FP_NONE)                 \
    X(RV_HELPER_SRET, rv_helper_sret, V0, IR_HELPER_FAULTS, IR_FP_NONE)                 \
    X(RV_HELPER_WFI, rv_helper_wfi, V1, IR_HELPER_FAULTS, IR_FP_NONE)                   \
    X(RV_HELPER_PAUSE, rv_helper_pause, V0, 0, IR_FP_NONE)                              \
    X(RV_HELPER_WRS, rv_helper_wrs, V0, IR_HELPER_FAULTS, IR_FP_NONE)                   \
    X(RV_HELPER_SFENCE_VMA, rv_helper_sfence_vma, V2, IR_HELPER_FAULTS, IR_FP_NONE)     \
    X(RV_HELPER_SINVAL_VMA, rv_helper_sinval_vma, V2, IR_HELPER_FAULTS, IR_FP_NONE)     \
    X(RV_HELPER_SFENCE_INVAL, rv_helper_sfence_inval, V0, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_FENCE_I, rv_helper_fence_i, V0, 0, IR_FP_NONE)                          \
    X(RV_HELPER_CBO_INVAL, rv_helper_cbo_inval, V1, IR_HELPER_FAULTS, IR_FP_NONE)       \
    X(RV_HELPER_CBO_CLEAN, rv_helper_cbo_clean, V1, IR_HELPER_FAULTS, IR_FP_NONE)       \
    X(RV_HELPER_CBO_FLUSH, rv_helper_cbo_flush, V1, IR_HELPER_FAULTS, IR_FP_NONE)       \
    X(RV_HELPER_CBO_ZERO, rv_helper_cbo_zero, V1, IR_HELPER_FAULTS, IR_FP_NONE)

/* Atomics (atomic-helper.c). a = address; b = value. LR returns the value loaded, SC 0 (done) or
 * 1, AMOs the old value; W forms sign-extended. */
#define RV_HELPERS_ATOMIC(X)                                                      \
    X(RV_HELPER_LR_W, rv_helper_lr_w, I1, IR_HELPER_FAULTS, IR_FP_NONE)           \
    X(RV_HELPER_LR_D, rv_helper_lr_d, I1, IR_HELPER_FAULTS, IR_FP_NONE)           \
    X(RV_HELPER_SC_W, rv_helper_sc_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)           \
    X(RV_HELPER_SC_D, rv_helper_sc_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)           \
    X(RV_HELPER_AMOSWAP_W, rv_helper_amoswap_w, I2, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_AMOADD_W, rv_helper_amoadd_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOXOR_W, rv_helper_amoxor_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOAND_W, rv_helper_amoand_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOOR_W, rv_helper_amoor_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)     \
    X(RV_HELPER_AMOMIN_W, rv_helper_amomin_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOMAX_W, rv_helper_amomax_w, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOMINU_W, rv_helper_amominu_w, I2, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_AMOMAXU_W, rv_helper_amomaxu_w, I2, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_AMOSWAP_D, rv_helper_amoswap_d, I2, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_AMOADD_D, rv_helper_amoadd_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOXOR_D, rv_helper_amoxor_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOAND_D, rv_helper_amoand_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOOR_D, rv_helper_amoor_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)     \
    X(RV_HELPER_AMOMIN_D, rv_helper_amomin_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOMAX_D, rv_helper_amomax_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)   \
    X(RV_HELPER_AMOMINU_D, rv_helper_amominu_d, I2, IR_HELPER_FAULTS, IR_FP_NONE) \
    X(RV_HELPER_AMOMAXU_D, rv_helper_amomaxu_d, I2, IR_HELPER_FAULTS, IR_FP_NONE)

/* Floating point (fp-helper.c over fpu.h). constant = the rm field: 0-4, or 7 for fcsr.frm, which
 * is a legal mode then; ignored where the insn has none. They accrue TcgFp.flags and touch nothing
 * else. The last column is what a host back end may do instead. */
#define RV_HELPERS_FP(X)                                                                        \
    X(RV_HELPER_FRFLAGS, rv_helper_frflags, I0, 0, IR_FP_GET_FLAGS)                             \
    X(RV_HELPER_FSFLAGS, rv_helper_fsflags, V1, 0, IR_FP_SET_FLAGS)                             \
    X(RV_HELPER_FADD_S, rv_helper_fadd_s, I2, IR_HELPER_FP, IR_FP_ADD | IR_FP_SINGLE)           \
    X(RV_HELPER_FSUB_S, rv_helper_fsub_s, I2, IR_HELPER_FP, IR_FP_SUB | IR_FP_SINGLE)           \
    X(RV_HELPER_FMUL_S, rv_helper_fmul_s, I2, IR_HELPER_FP, IR_FP_MUL | IR_FP_SINGLE)           \
    X(RV_HELPER_FDIV_S, rv_helper_fdiv_s, I2, IR_HELPER_FP, IR_FP_DIV | IR_FP_SINGLE)           \
    X(RV_HELPER_FSQRT_S, rv_helper_fsqrt_s, I1, IR_HELPER_FP, IR_FP_SQRT | IR_FP_SINGLE)        \
    X(RV_HELPER_FMADD_S, rv_helper_fmadd_s, I3, IR_HELPER_FP, IR_FP_MADD | IR_FP_SINGLE)        \
    X(RV_HELPER_FMSUB_S, rv_helper_fmsub_s, I3, IR_HELPER_FP, IR_FP_MSUB | IR_FP_SINGLE)        \
    X(RV_HELPER_FNMSUB_S, rv_helper_fnmsub_s, I3, IR_HELPER_FP, IR_FP_NMSUB | IR_FP_SINGLE)     \
    X(RV_HELPER_FNMADD_S, rv_helper_fnmadd_s, I3, IR_HELPER_FP, IR_FP_NMADD | IR_FP_SINGLE)     \
    X(RV_HELPER_FMIN_S, rv_helper_fmin_s, I2, IR_HELPER_FP, IR_FP_MIN | IR_FP_SINGLE)           \
    X(RV_HELPER_FMAX_S, rv_helper_fmax_s, I2, IR_HELPER_FP, IR_FP_MAX | IR_FP_SINGLE)           \
    X(RV_HELPER_FEQ_S, rv_helper_feq_s, I2, IR_HELPER_FP, IR_FP_EQ | IR_FP_SINGLE)              \
    X(RV_HELPER_FLT_S, rv_helper_flt_s, I2, IR_HELPER_FP, IR_FP_LT | IR_FP_SINGLE)              \
    X(RV_HELPER_FLE_S, rv_helper_fle_s, I2, IR_HELPER_FP, IR_FP_LE | IR_FP_SINGLE)              \
    X(RV_HELPER_FCLASS_S, rv_helper_fclass_s, I1, IR_HELPER_PURE, IR_FP_NONE)                   \
    X(RV_HELPER_FCVT_W_S, rv_helper_fcvt_w_s, I1, IR_HELPER_FP, IR_FP_TO_W | IR_FP_SINGLE)      \
    X(RV_HELPER_FCVT_WU_S, rv_helper_fcvt_wu_s, I1, IR_HELPER_FP, IR_FP_TO_WU | IR_FP_SINGLE)   \
    X(RV_HELPER_FCVT_L_S, rv_helper_fcvt_l_s, I1, IR_HELPER_FP, IR_FP_TO_L | IR_FP_SINGLE)      \
    X(RV_HELPER_FCVT_LU_S, rv_helper_fcvt_lu_s, I1, IR_HELPER_FP, IR_FP_TO_LU | IR_FP_SINGLE)   \
    X(RV_HELPER_FCVT_S_W, rv_helper_fcvt_s_w, I1, IR_HELPER_FP, IR_FP_FROM_W | IR_FP_SINGLE)    \
    X(RV_HELPER_FCVT_S_WU, rv_helper_fcvt_s_wu, I1, IR_HELPER_FP, IR_FP_FROM_WU | IR_FP_SINGLE) \
    X(RV_HELPER_FCVT_S_L, rv_helper_fcvt_s_l, I1, IR_HELPER_FP, IR_FP_FROM_L | IR_FP_SINGLE)    \
    X(RV_HELPER_FCVT_S_LU, rv_helper_fcvt_s_lu, I1, IR_HELPER_FP, IR_FP_FROM_LU | IR_FP_SINGLE) \
    X(RV_HELPER_FADD_D, rv_helper_fadd_d, I2, IR_HELPER_FP, IR_FP_ADD)                          \
    X(RV_HELPER_FSUB_D, rv_helper_fsub_d, I2, IR_HELPER_FP, IR_FP_SUB)                          \
    X(RV_HELPER_FMUL_D, rv_helper_fmul_d, I2, IR_HELPER_FP, IR_FP_MUL)                          \
    X(RV_HELPER_FDIV_D, rv_helper_fdiv_d, I2, IR_HELPER_FP, IR_FP_DIV)                          \
    X(RV_HELPER_FSQRT_D, rv_helper_fsqrt_d, I1, IR_HELPER_FP, IR_FP_SQRT)                       \
    X(RV_HELPER_FMADD_D, rv_helper_fmadd_d, I3, IR_HELPER_FP, IR_FP_MADD)                       \
    X(RV_HELPER_FMSUB_D, rv_helper_fmsub_d, I3, IR_HELPER_FP, IR_FP_MSUB)                       \
    X(RV_HELPER_FNMSUB_D, rv_helper_fnmsub_d, I3, IR_HELPER_FP, IR_FP_NMSUB)                    \
    X(RV_HELPER_FNMADD_D, rv_helper_fnmadd_d, I3, IR_HELPER_FP, IR_FP_NMADD)                    \
    X(RV_HELPER_FMIN_D, rv_helper_fmin_d, I2, IR_HELPER_FP, IR_FP_MIN)                          \
    X(RV_HELPER_FMAX_D, rv_helper_fmax_d, I2, IR_HELPER_FP, IR_FP_MAX)                          \
    X(RV_HELPER_FEQ_D, rv_helper_feq_d, I2, IR_HELPER_FP, IR_FP_EQ)                             \
    X(RV_HELPER_FLT_D, rv_helper_flt_d, I2, IR_HELPER_FP, IR_FP_LT)                             \
    X(RV_HELPER_FLE_D, rv_helper_fle_d, I2, IR_HELPER_FP, IR_FP_LE)                             \
    X(RV_HELPER_FCLASS_D, rv_helper_fclass_d, I1, IR_HELPER_PURE, IR_FP_NONE)                   \
    X(RV_HELPER_FCVT_S_D, rv_helper_fcvt_s_d, I1, IR_HELPER_FP, IR_FP_NARROW)                   \
    X(RV_HELPER_FCVT_D_S, rv_helper_fcvt_d_s, I1, IR_HELPER_FP, IR_FP_WIDEN)                    \
    X(RV_HELPER_FCVT_W_D, rv_helper_fcvt_w_d, I1, IR_HELPER_FP, IR_FP_TO_W)                     \
    X(RV_HELPER_FCVT_WU_D, rv_helper_fcvt_wu_d, I1, IR_HELPER_FP, IR_FP_TO_WU)                  \
    X(RV_HELPER_FCVT_L_D, rv_helper_fcvt_l_d, I1, IR_HELPER_FP, IR_FP_TO_L)                     \
    X(RV_HELPER_FCVT_LU_D, rv_helper_fcvt_lu_d, I1, IR_HELPER_FP, IR_FP_TO_LU)                  \
    X(RV_HELPER_FCVT_D_W, rv_helper_fcvt_d_w, I1, IR_HELPER_FP, IR_FP_FROM_W)                   \
    X(RV_HELPER_FCVT_D_WU, rv_helper_fcvt_d_wu, I1, IR_HELPER_FP, IR_FP_FROM_WU)                \
    X(RV_HELPER_FCVT_D_L, rv_helper_fcvt_d_l, I1, IR_HELPER_FP, IR_FP_FROM_L)                   \
    X(RV_HELPER_FCVT_D_LU, rv_helper_fcvt_d_lu, I1, IR_HELPER_FP, IR_FP_FROM_LU)                \
    X(RV_HELPER_FCVT_S_H, rv_helper_fcvt_s_h, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FCVT_D_H, rv_helper_fcvt_d_h, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FCVT_H_S, rv_helper_fcvt_h_s, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FCVT_H_D, rv_helper_fcvt_h_d, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FMINM_S, rv_helper_fminm_s, I2, IR_HELPER_FP, IR_FP_NONE)                       \
    X(RV_HELPER_FMAXM_S, rv_helper_fmaxm_s, I2, IR_HELPER_FP, IR_FP_NONE)                       \
    X(RV_HELPER_FMINM_D, rv_helper_fminm_d, I2, IR_HELPER_FP, IR_FP_NONE)                       \
    X(RV_HELPER_FMAXM_D, rv_helper_fmaxm_d, I2, IR_HELPER_FP, IR_FP_NONE)                       \
    X(RV_HELPER_FROUND_S, rv_helper_fround_s, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FROUNDNX_S, rv_helper_froundnx_s, I1, IR_HELPER_FP, IR_FP_NONE)                 \
    X(RV_HELPER_FROUND_D, rv_helper_fround_d, I1, IR_HELPER_FP, IR_FP_NONE)                     \
    X(RV_HELPER_FROUNDNX_D, rv_helper_froundnx_d, I1, IR_HELPER_FP, IR_FP_NONE)                 \
    X(RV_HELPER_FCVTMOD_W_D, rv_helper_fcvtmod_w_d, I1, IR_HELPER_FP, IR_FP_NONE)               \
    X(RV_HELPER_FLEQ_S, rv_helper_fleq_s, I2, IR_HELPER_FP, IR_FP_LEQ | IR_FP_SINGLE)           \
    X(RV_HELPER_FLTQ_S, rv_helper_fltq_s, I2, IR_HELPER_FP, IR_FP_LTQ | IR_FP_SINGLE)           \
    X(RV_HELPER_FLEQ_D, rv_helper_fleq_d, I2, IR_HELPER_FP, IR_FP_LEQ)                          \
    X(RV_HELPER_FLTQ_D, rv_helper_fltq_d, I2, IR_HELPER_FP, IR_FP_LTQ)                          \
    X(RV_HELPER_FSGNJ_S, rv_helper_fsgnj_s, I2, IR_HELPER_PURE, IR_FP_SGNJ | IR_FP_SINGLE)      \
    X(RV_HELPER_FSGNJ_D, rv_helper_fsgnj_d, I2, IR_HELPER_PURE, IR_FP_SGNJ)                     \
    X(RV_HELPER_FSGNJN_S, rv_helper_fsgnjn_s, I2, IR_HELPER_PURE, IR_FP_SGNJN | IR_FP_SINGLE)   \
    X(RV_HELPER_FSGNJN_D, rv_helper_fsgnjn_d, I2, IR_HELPER_PURE, IR_FP_SGNJN)                  \
    X(RV_HELPER_FSGNJX_S, rv_helper_fsgnjx_s, I2, IR_HELPER_PURE, IR_FP_SGNJX | IR_FP_SINGLE)   \
    X(RV_HELPER_FSGNJX_D, rv_helper_fsgnjx_d, I2, IR_HELPER_PURE, IR_FP_SGNJX)

/* Bit permutations without an IR operation (bit-helper.c). xperm's constant is the XLEN. */
#define RV_HELPERS_BIT(X)                                                 \
    X(RV_HELPER_BREV8, rv_helper_brev8, I1, IR_HELPER_PURE, IR_FP_NONE)   \
    X(RV_HELPER_ZIP, rv_helper_zip, I1, IR_HELPER_PURE, IR_FP_NONE)       \
    X(RV_HELPER_UNZIP, rv_helper_unzip, I1, IR_HELPER_PURE, IR_FP_NONE)   \
    X(RV_HELPER_XPERM4, rv_helper_xperm4, I2, IR_HELPER_PURE, IR_FP_NONE) \
    X(RV_HELPER_XPERM8, rv_helper_xperm8, I2, IR_HELPER_PURE, IR_FP_NONE)

#define RV_HELPERS(X)    \
    RV_HELPERS_SYSTEM(X) \
    RV_HELPERS_ATOMIC(X) \
    RV_HELPERS_FP(X)     \
    RV_HELPERS_BIT(X)

enum {
#define RV_HELPER_ENUM(number, function, signature, flags, inlined) number,
    RV_HELPERS(RV_HELPER_ENUM)
#undef RV_HELPER_ENUM
        RV_N_HELPERS
};

#define RV_HELPER_PROTOTYPE(number, function, signature, flags, inlined) \
    RvHelper##signature function;
RV_HELPERS(RV_HELPER_PROTOTYPE)
#undef RV_HELPER_PROTOTYPE

/* In the order of the numbers; for IrTarget.helpers. */
extern const IrHelper rv_helpers[RV_N_HELPERS];

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The intermediate representation: one straight-line block of 16-byte instructions in SSA form.
 *
 * A value is the index of the instruction that defines it (IrVal). Control never joins inside a block: the only
 * branches are exits (EXITCC leaves sideways, EXIT/EXITIND/LEAVE end it). Guest registers are slots of the table that the
 * target declares; the order of SETREGs against faulting operations is the guest's program order, so the guest state
 * is exact at each operation that may fault. No operation knows a guest ISA.
 *
 * Code is independent of the virtual address it runs at: PCREL and exits are relative to the 4 KiB page of the
 * block's first instruction ("the block's page"), whose virtual address is Cpu.pc_page at run time.
 *
 * Builders (ir_add, ...) fold constants and identities as they go; passes live in tcg/passes.c.
 */
#ifndef TCG_IR_H
#define TCG_IR_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tcg/ir-ops.h"

typedef enum IrOp {
#define IR_OP_ENUM(name, text, n_args, result, flags) IR_##name,
    IR_OPS(IR_OP_ENUM)
#undef IR_OP_ENUM
        IR_N_OPS
} IrOp;

enum { IR_F_SIDE = 1, IR_F_FAULT = 2, IR_F_END = 4, IR_F_COMM = 8 };

typedef enum IrType { IR_VOID, IR_I32, IR_I64 } IrType;

typedef enum IrCond {
    IR_EQ,
    IR_NE,
    IR_LT,
    IR_GE,
    IR_LE,
    IR_GT,
    IR_LTU,
    IR_GEU,
    IR_LEU,
    IR_GTU
} IrCond;

typedef uint16_t IrVal; /* index into IrBlock.insns; IR_NONE: no value */
#define IR_NONE ((IrVal)0xffff)

typedef struct IrInsn {
    uint8_t op;   /* IrOp */
    uint8_t type; /* IrType of the result, or of the data for setreg/store/exitcc */
    IrVal a, b, c;
    uint64_t imm;
} IrInsn;

/* A guest memory access. Bits of the upper half of a LOAD/STORE's imm. */
typedef enum IrMemOp {
    IR_MEM_8 = 0,
    IR_MEM_16 = 1,
    IR_MEM_32 = 2,
    IR_MEM_64 = 3,
    IR_MEM_SIZE = 3,   /* mask: log2 of the bytes */
    IR_MEM_SIGN = 4,   /* sign-extend a load to its type */
    IR_MEM_BE = 8,     /* big endian */
    IR_MEM_ALIGN = 16, /* a misaligned access is a guest fault (else it is done) */
} IrMemOp;

/* A guest register as the target declares it. */
typedef struct IrReg {
    const char *name;
    uint32_t offset; /* of the slot from the Cpu pointer */
    uint8_t type;    /* IrType */
    uint8_t
        pin; /* 0: never pinned; 1: first choice for a host register, 2: second ...; or IR_PIN_VECTOR and such a rank */
} IrReg;

/* IrReg.pin: floating-point values live there, so a vector register is wanted. */
enum { IR_PIN_VECTOR = 128 };

/* Effects of a helper. */
enum {
    IR_HELPER_READS = 1,  /* reads guest registers through the Cpu */
    IR_HELPER_WRITES = 2, /* writes guest registers through the Cpu */
    IR_HELPER_FAULTS = 4, /* may raise a guest exception (cpu_loop_exit) or need the guest PC */
    IR_HELPER_PURE = 8, /* result depends on arguments only, no effect: may be removed or merged */
    IR_HELPER_FP = 16,  /* computes with the host's floating point (tcg/fp.h) */
};

/* What a host back end may compute itself instead of calling a helper, with exactly the helper's results and accrued
 * exceptions (IrHelper.inlined). Values are 64 bits. A single-precision one (IR_FP_SINGLE) has ones in its upper half; one that
 * has not counts as the canonical NaN. NaN results are canonical. The helper's constant is the rounding mode (IrRound) of those
 * that round. */
typedef enum IrFp {
    IR_FP_NONE,
    IR_FP_ADD,
    IR_FP_SUB,
    IR_FP_MUL,
    IR_FP_DIV,
    IR_FP_SQRT,
    IR_FP_MADD,   /* a * b + c, rounded once */
    IR_FP_MSUB,   /* a * b - c */
    IR_FP_NMSUB,  /* -(a * b) + c */
    IR_FP_NMADD,  /* -(a * b) - c */
    IR_FP_NARROW, /* double to single */
    IR_FP_WIDEN,  /* single to double; without IR_FP_SINGLE */
    IR_FP_TO_W, /* to an integer: clipped, a NaN gives the greatest; the W forms' result is sign-extended */
    IR_FP_TO_WU,
    IR_FP_TO_L,
    IR_FP_TO_LU,
    IR_FP_FROM_W, /* from an integer, of which the W forms take the low half */
    IR_FP_FROM_WU,
    IR_FP_FROM_L,
    IR_FP_FROM_LU,
    IR_FP_MIN, /* -0 < +0; one NaN is passed over */
    IR_FP_MAX,
    IR_FP_SGNJ,  /* a with the sign of b */
    IR_FP_SGNJN, /* its opposite */
    IR_FP_SGNJX, /* the exclusive or of both */
    IR_FP_EQ,    /* 1 or 0, quiet */
    IR_FP_LT,    /* signaling: NV for any NaN */
    IR_FP_LE,
    IR_FP_LTQ, /* quiet */
    IR_FP_LEQ,
    IR_FP_GET_FLAGS,  /* the accrued exceptions (TCG_FP_*) */
    IR_FP_SET_FLAGS,  /* makes them the low 5 bits of a */
    IR_FP_SINGLE = 64 /* flag: single precision */
} IrFp;

typedef enum IrRound {
    IR_ROUND_NEAREST,
    IR_ROUND_ZERO,
    IR_ROUND_DOWN,
    IR_ROUND_UP,
    IR_ROUND_AWAY,       /* to nearest, ties away from zero */
    IR_ROUND_CURRENT = 7 /* the guest's current one: tcg_fp_set_rounding() */
} IrRound;

/* A C function that generated code may call: ret fn(Cpu *, args..., uint32_t constant).
 * Every argument is passed as uint64_t (an i32 one is zero-extended), the result is uint64_t. */
typedef struct IrHelper {
    const char *name;
    void (*fn)(void);
    uint8_t ret;     /* IrType */
    uint8_t n_args;  /* values, 0-3; the 32-bit constant follows as the last argument */
    uint8_t args[3]; /* IrType */
    uint8_t flags;
    uint8_t inlined; /* IrFp; IR_FP_NONE: always called */
} IrHelper;

/* What the tcg needs to know of a guest. */
typedef struct IrTarget {
    const char *name;
    const IrReg *regs;
    unsigned n_regs;
    const IrHelper *helpers;
    unsigned n_helpers;
    uint8_t max_insn_bytes; /* longest guest insn */
} IrTarget;

/* Flavours of a block that no target decides (BlockKey.cflags). */
enum {
    IR_CF_ICOUNT = 1,   /* count instructions exactly against Cpu.icount_left */
    IR_CF_ONE_INSN = 2, /* a single guest instruction */
    IR_CF_NO_LINK = 4,  /* every exit returns to the run loop */
};

enum { IR_MAX_INSNS = 2048, IR_MAX_GUEST_INSNS = 64, IR_MAX_EXITS = 72 };

typedef struct IrBlock {
    const IrTarget *target;
    IrInsn *insns; /* owned; capacity IR_MAX_INSNS */
    unsigned n;
    unsigned n_guest_insns;
    uint32_t cflags;      /* IR_CF_* */
    uint32_t page_offset; /* of the first guest instruction in its page */
    bool ended;           /* an IR_F_END operation was built */
} IrBlock;

/* Static facts of an operation. */
typedef struct IrOpInfo {
    const char *text;
    uint8_t n_args, result, flags;
} IrOpInfo;
extern const IrOpInfo ir_op_info[IR_N_OPS];

/* ---- Building (tcg/build.c). Blocks are reusable: ir_block_reset() before each translation. ---- */

/* A new, empty block for @target (borrowed); free with ir_block_free(). */
IrBlock *ir_block_new(const IrTarget *target);
void ir_block_free(IrBlock *ir);
/* Empties @ir for a block whose first instruction lies at @page_offset (0-4095), flavour @cflags. */
void ir_block_reset(IrBlock *ir, uint32_t page_offset, uint32_t cflags);
/* True while another guest instruction (at most 96 more IrInsns) fits. */
bool ir_block_has_room(const IrBlock *ir);

/* Starts a guest instruction @page_offset bytes from the block's page (may exceed 4095 only for a crossing insn's tail);
 * @word is the target's own 32 bits, handed back by ir_site lookups (TargetOps.restore). */
void ir_insn(IrBlock *ir, int32_t page_offset, uint32_t word);
IrVal ir_const(IrBlock *ir, IrType type, uint64_t value);
IrVal ir_getreg(IrBlock *ir, unsigned reg);
void ir_setreg(IrBlock *ir, unsigned reg, IrVal v);
/* Virtual address of the block's page + @offset. */
IrVal ir_pcrel(IrBlock *ir, int64_t offset);

/* Two-argument arithmetic; both of one type, which is the result's. */
IrVal ir_binary(IrBlock *ir, IrOp op, IrVal a, IrVal b);
/* One-argument arithmetic including SEXT, ZEXT, TRUNC (which change the type). */
IrVal ir_unary(IrBlock *ir, IrOp op, IrVal a);
IrVal ir_add(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_addi(IrBlock *ir, IrVal a, int64_t imm);
IrVal ir_sub(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_mul(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_and(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_or(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_xor(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_andn(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_not(IrBlock *ir, IrVal a);
IrVal ir_neg(IrBlock *ir, IrVal a);
IrVal ir_shl(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_shr(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_sar(IrBlock *ir, IrVal a, IrVal b);
IrVal ir_sext(IrBlock *ir, IrVal a);  /* i32 -> i64 */
IrVal ir_zext(IrBlock *ir, IrVal a);  /* i32 -> i64 */
IrVal ir_trunc(IrBlock *ir, IrVal a); /* i64 -> i32 */
IrVal ir_setcc(IrBlock *ir, IrCond cond, IrVal a, IrVal b);
IrVal ir_select(IrBlock *ir, IrVal cond, IrVal b, IrVal c);
/* Memory access of a @memop at @addr + @disp. */
IrVal ir_load(IrBlock *ir, IrType type, IrVal addr, int32_t disp, uint32_t memop);
void ir_store(IrBlock *ir, IrVal addr, int32_t disp, uint32_t memop, IrVal v);
void ir_fence(IrBlock *ir, bool full);
/* Calls helper number @helper with its n_args values (IR_NONE for the rest) and @constant; IR_NONE for a void one. */
IrVal ir_call(IrBlock *ir, unsigned helper, IrVal a, IrVal b, IrVal c, uint32_t constant);
/* Calls @helper, which returns nothing and takes nothing (its constant is 0), if @a is 0: rare, so that it costs a compare. */
void ir_guard(IrBlock *ir, IrVal a, unsigned helper);
/* Leaves the block to @page_offset (relative to the block's page, any int32) if a @cond b. */
void ir_exitcc(IrBlock *ir, IrCond cond, IrVal a, IrVal b, int32_t page_offset);
void ir_exit(IrBlock *ir, int32_t page_offset);
void ir_exitind(IrBlock *ir, IrVal addr);
/* Leaves for wherever a helper set Cpu.pc (and context); @to_loop: through the C loop, so that interrupts and mode are
 * looked at again; otherwise straight through the jump cache. */
void ir_leave(IrBlock *ir, bool to_loop);

IrType ir_type(const IrBlock *ir, IrVal v);
/* True if @v is a constant; stores it in *@value. */
bool ir_is_const(const IrBlock *ir, IrVal v, uint64_t *value);

/* ---- Passes (tcg/passes.c), in pipeline order; each leaves a valid block. ---- */

enum { IR_OPT_REGS = 1, IR_OPT_DEAD = 2, IR_OPT_FOLD = 4, IR_OPT_FP = 8, IR_OPT_ALL = 15 };
/* IR_OPT_*: which are on (for bisecting); folding is read by the builder, floating point inline by the host back end. */
extern unsigned ir_opt_mask;

/* Whether the block loops until somebody else changes memory: up to a jump to its own start it only loads and computes, and after two rounds
 * its registers are a function of memory. Programs wait so for locks. At most 64 registers of a target are looked at. */
bool ir_is_spin(const IrBlock *ir);
/* Forwards setreg -> getreg and getreg -> getreg within the block, drops a setreg overwritten before anything can see it. */
void ir_pass_regs(IrBlock *ir);
/* Removes values that nothing uses (turned into no-ops by compaction). */
void ir_pass_dead(IrBlock *ir);
/* All passes that ir_opt_mask has on. */
void ir_optimise(IrBlock *ir);

/* ---- Checking and text (tcg/verify.c, tcg/text.c) ---- */

/* Whether @ir is well formed: types, order of definitions, register numbers, ends. *error names the first fault. */
bool ir_verify(const IrBlock *ir, GError **error);
/* Appends the text form, one operation a line: "  %3 = add.i64 %1 %2". */
void ir_print(const IrBlock *ir, GString *out);
/* Parses what ir_print wrote (and hand-written tests) into @ir, which is reset first. The first error names its line. */
bool ir_parse(IrBlock *ir, const char *text, GError **error);
const char *ir_cond_name(IrCond cond);
IrCond ir_cond_invert(IrCond cond);
IrCond ir_cond_swap(IrCond cond); /* a cond b == b swapped a */
bool ir_cond_eval(IrCond cond, IrType type, uint64_t a, uint64_t b);

/* The value of a pure operation on constants (result truncated to the type). The single definition of the arithmetic:
 * the builder's folding and the interpreter both call it. */
uint64_t ir_eval(IrOp op, IrType type, IrType arg_type, uint64_t imm, uint64_t a, uint64_t b,
                 uint64_t c);

#endif

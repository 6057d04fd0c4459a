/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one definition of the IR's operations (docs/ir.md, DESIGN 4).
 *
 * X(name, text, n_args, result, flags)
 *   name    IR_<NAME> in the enum
 *   text    spelling in the text form
 *   n_args  how many of a, b, c are values
 *   result  1: the instruction defines a value of its .type; 0: none; 2: decided by .type (calls)
 *   flags   IR_F_SIDE: never removed;  IR_F_FAULT: may raise a guest exception or leave the block, so the
 *           guest registers must be exact before it;  IR_F_END: ends the block;
 *           IR_F_COMM: the first two arguments commute
 *
 * Types: every value is i32 or i64. All arithmetic wraps. A shift or rotate count is taken modulo the width.
 * An i32 value's upper host bits are undefined. Operations read by: enum, printer, parser, verifier, dead-code
 * elimination, interpreter and the host back ends.
 */
#ifndef TCG_IR_OPS_H
#define TCG_IR_OPS_H

#define IR_OPS(X)                                                                                              \
    /* boundaries and guest registers */                                                                       \
    X(INSN, "insn", 0, 0,                                                                                      \
      IR_F_SIDE) /* imm: offset of the guest insn from the block's page; a|b<<16: target word */               \
    X(GETREG, "getreg", 0, 1, 0)         /* imm: register number of the target's IrReg table */                \
    X(SETREG, "setreg", 1, 0, IR_F_SIDE) /* imm: register number */                                            \
    X(CONST, "const", 0, 1, 0)           /* imm: value (i32: zero-extended 32 bits) */                         \
    X(PCREL, "pcrel", 0, 1, 0) /* i64: virtual address of the block's page + (int64_t)imm */                   \
    /* integer arithmetic */                                                                                   \
    X(ADD, "add", 2, 1, IR_F_COMM)                                                                             \
    X(SUB, "sub", 2, 1, 0)                                                                                     \
    X(MUL, "mul", 2, 1, IR_F_COMM)                                                                             \
    X(MULHS, "mulhs", 2, 1, IR_F_COMM) /* upper half of the signed product */                                  \
    X(MULHU, "mulhu", 2, 1, IR_F_COMM)                                                                         \
    X(MULHSU, "mulhsu", 2, 1, 0) /* a signed, b unsigned */                                                    \
    X(DIVS, "divs", 2, 1, 0)     /* x/0 = -1, MIN/-1 = MIN (total, as RISC-V has it) */                        \
    X(DIVU, "divu", 2, 1, 0)     /* x/0 = all ones */                                                          \
    X(REMS, "rems", 2, 1, 0)     /* x%0 = x, MIN%-1 = 0 */                                                     \
    X(REMU, "remu", 2, 1, 0)     /* x%0 = x */                                                                 \
    X(AND, "and", 2, 1, IR_F_COMM)                                                                             \
    X(OR, "or", 2, 1, IR_F_COMM)                                                                               \
    X(XOR, "xor", 2, 1, IR_F_COMM)                                                                             \
    X(ANDN, "andn", 2, 1, 0) /* a & ~b */                                                                      \
    X(NOT, "not", 1, 1, 0)                                                                                     \
    X(NEG, "neg", 1, 1, 0)                                                                                     \
    X(SHL, "shl", 2, 1, 0)                                                                                     \
    X(SHR, "shr", 2, 1, 0)                                                                                     \
    X(SAR, "sar", 2, 1, 0)                                                                                     \
    X(ROTL, "rotl", 2, 1, 0)                                                                                   \
    X(ROTR, "rotr", 2, 1, 0)                                                                                   \
    X(CLZ, "clz", 1, 1, 0) /* clz(0) = width */                                                                \
    X(CTZ, "ctz", 1, 1, 0) /* ctz(0) = width */                                                                \
    X(POPCNT, "popcnt", 1, 1, 0)                                                                               \
    X(BSWAP, "bswap", 1, 1, 0)                                                                                 \
    X(CLMUL, "clmul", 2, 1, IR_F_COMM)   /* carry-less product, low half; i64 only */                          \
    X(CLMULH, "clmulh", 2, 1, IR_F_COMM) /* high half; i64 only */                                             \
    X(SEXT8, "sext8", 1, 1, 0)           /* within the type */                                                 \
    X(SEXT16, "sext16", 1, 1, 0)                                                                               \
    X(ZEXT8, "zext8", 1, 1, 0)                                                                                 \
    X(ZEXT16, "zext16", 1, 1, 0)                                                                               \
    X(SEXT, "sext", 1, 1, 0)     /* i32 argument, i64 result */                                                \
    X(ZEXT, "zext", 1, 1, 0)     /* i32 argument, i64 result */                                                \
    X(TRUNC, "trunc", 1, 1, 0)   /* i64 argument, i32 result */                                                \
    X(SETCC, "setcc", 2, 1, 0)   /* imm: IrCond; .type of arguments AND result: 0 or 1 */                      \
    X(SELECT, "select", 3, 1, 0) /* a != 0 ? b : c; a is any type, b c result one type */                      \
    /* guest memory: imm low 32 bits = signed displacement, high 32 = IrMemOp; a = address (i64) */            \
    X(LOAD, "load", 1, 1, IR_F_SIDE | IR_F_FAULT)                                                              \
    X(STORE, "store", 2, 0, IR_F_SIDE | IR_F_FAULT) /* b = value */                                            \
    X(FENCE, "fence", 0, 0,                                                                                    \
      IR_F_SIDE) /* imm: 1 = full (store-load order), 0 = compiler order only */                               \
    /* calls: imm low 32 bits = helper number of the target, high 32 = constant last argument */               \
    X(CALL, "call", 3, 2,                                                                                      \
      IR_F_SIDE | IR_F_FAULT) /* n_args of the helper, effects from IrHelper */                                \
    X(GUARD, "guard", 1, 0,                                                                                    \
      IR_F_SIDE |                                                                                              \
          IR_F_FAULT) /* if a = 0 call helper imm: no result or arguments, may fault, else sees no register */ \
    /* leaving */                                                                                              \
    X(EXITCC, "exitcc", 2, 0,                                                                                  \
      IR_F_SIDE | IR_F_FAULT) /* imm low 32: signed page offset of the target, high 32: IrCond */              \
    X(EXIT, "exit", 0, 0, IR_F_SIDE | IR_F_END)       /* imm: signed page offset of the target */              \
    X(EXITIND, "exitind", 1, 0, IR_F_SIDE | IR_F_END) /* to the virtual address in a (i64) */                  \
    X(LEAVE, "leave", 0, 0,                                                                                    \
      IR_F_SIDE | IR_F_END) /* Cpu.pc and context were set by a helper; imm 1: via C loop */

#endif

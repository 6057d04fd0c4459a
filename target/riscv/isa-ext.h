/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The extensions that a RISC-V CPU may have, as bits of a 64-bit set. The names are those of the
 * ISA string and of the CPU's properties; the .isa tables refer to them on their `ext` lines (in
 * lower case; the generator makes RV_EXT_<NAME> of it, so a name missing here is a compile
 * error).
 *
 * rv32 and rv64 are no extensions but the base: exactly one of them is in the set that the
 * decoder sees. Extensions without instructions of their own (Zicntr, Sstc, ...) are here when
 * the CSRs depend on them.
 *
 * A set in use is interned in a machine-wide table, so that 8 bits of the block mode name it
 * (rv_ext_set_register()).
 */
#ifndef TARGET_RISCV_ISA_EXT_H
#define TARGET_RISCV_ISA_EXT_H

#include <stdint.h>

/* X(bit, name, description) */
#define RV_EXTS(X)                                                                \
    X(RV_EXT_RV32, "rv32", "32-bit base")                                         \
    X(RV_EXT_RV64, "rv64", "64-bit base")                                         \
    X(RV_EXT_I, "i", "base integer instructions")                                 \
    X(RV_EXT_M, "m", "multiplication and division")                               \
    X(RV_EXT_A, "a", "atomic instructions")                                       \
    X(RV_EXT_F, "f", "single-precision floating point")                           \
    X(RV_EXT_D, "d", "double-precision floating point")                           \
    X(RV_EXT_C, "c", "compressed instructions")                                   \
    X(RV_EXT_S, "s", "supervisor mode")                                           \
    X(RV_EXT_U, "u", "user mode")                                                 \
    X(RV_EXT_ZICSR, "zicsr", "CSR instructions")                                  \
    X(RV_EXT_ZIFENCEI, "zifencei", "instruction-fetch fence")                     \
    X(RV_EXT_ZICNTR, "zicntr", "cycle, time and instret counters")                \
    X(RV_EXT_ZIHPM, "zihpm", "hardware performance counters")                     \
    X(RV_EXT_ZICBOM, "zicbom", "cache-block management")                          \
    X(RV_EXT_ZICBOP, "zicbop", "cache-block prefetch hints")                      \
    X(RV_EXT_ZICBOZ, "zicboz", "cache-block zero")                                \
    X(RV_EXT_ZICOND, "zicond", "integer conditional operations")                  \
    X(RV_EXT_ZIHINTNTL, "zihintntl", "non-temporal locality hints")               \
    X(RV_EXT_ZIHINTPAUSE, "zihintpause", "pause hint")                            \
    X(RV_EXT_ZAWRS, "zawrs", "wait on reservation set")                           \
    X(RV_EXT_ZFA, "zfa", "additional floating-point instructions")                \
    X(RV_EXT_ZFHMIN, "zfhmin", "minimal half-precision floating point")           \
    X(RV_EXT_ZCB, "zcb", "additional compressed instructions")                    \
    X(RV_EXT_ZBA, "zba", "address generation")                                    \
    X(RV_EXT_ZBB, "zbb", "basic bit manipulation")                                \
    X(RV_EXT_ZBC, "zbc", "carry-less multiplication")                             \
    X(RV_EXT_ZBS, "zbs", "single-bit instructions")                               \
    X(RV_EXT_ZBKB, "zbkb", "bit manipulation for cryptography")                   \
    X(RV_EXT_ZBKC, "zbkc", "carry-less multiplication for cryptography")          \
    X(RV_EXT_ZBKX, "zbkx", "crossbar permutations")                               \
    X(RV_EXT_SSTC, "sstc", "supervisor timer compare")                            \
    X(RV_EXT_SVADU, "svadu", "hardware updating of accessed and dirty bits")      \
    X(RV_EXT_SVINVAL, "svinval", "fine-grained address-translation invalidation") \
    X(RV_EXT_SVNAPOT, "svnapot", "naturally aligned power-of-two translations")   \
    X(RV_EXT_SVPBMT, "svpbmt", "page-based memory types")

typedef enum RvExt {
#define RV_EXT_ENUM(bit, name, desc) bit,
    RV_EXTS(RV_EXT_ENUM)
#undef RV_EXT_ENUM
        RV_N_EXTS
} RvExt;

#define RV_EXT_BIT(ext) (1ull << (ext))

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each floating-point instruction has to do, computed with integers only: arithmetic by the soft core (target/riscv/fpu-soft.c),
 * conversions to integers, comparisons and bits here. The test fp-edges compares the JIT with it.
 */
#ifndef TESTS_DIFF_FP_REFERENCE_H
#define TESTS_DIFF_FP_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include "target/riscv/fpu-priv.h"
#include "target/riscv/isa-table.h"

typedef enum FpKind {
    FP_ADD,
    FP_SUB,
    FP_MUL,
    FP_DIV,
    FP_SQRT,
    FP_FUSED,
    FP_CONVERT,
    FP_TO_INT,
    FP_FROM_INT,
    FP_MODULAR,
    FP_ROUND,
    FP_MIN_MAX,
    FP_COMPARE,
    FP_SIGN,
    FP_CLASS,
    FP_MOVE,
    FP_MOVE_BOXED
} FpKind;

/* An instruction, taken apart by its name. */
typedef struct FpOp {
    const RvIsaEntry *entry;
    FpKind kind;
    const FpuFormat *from, *to; /* of operands and result; NULL: an x register */
    unsigned n_args;
    bool has_rm;
    bool neg_product, neg_addend; /* fused */
    bool nan_wins, want_max;      /* fminm; fmax */
    bool less, equal, quiet;      /* comparisons */
    bool inexact;                 /* froundnx */
    char sign;                    /* fsgnj: 0, n, x */
    unsigned int_bits;
    bool int_signed;
} FpOp;

/* False: @entry is no instruction of rv64 that computes with floating point. */
bool fp_op_parse(const RvIsaEntry *entry, FpOp *op);
/* The destination register's value; exceptions (RV_FFLAG_*) are ORed to @fflags. @rm: resolved. */
uint64_t fp_reference(const FpOp *op, unsigned rm, const uint64_t args[3], uint32_t *fflags);

#endif

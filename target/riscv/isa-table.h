/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RISC-V instructions as data: one entry a line of the .isa tables, written by tools/isa-gen.py.
 * Read by the disassembler, tests (random instructions, cross-check with a disassembler), coverage and lists.
 */
#ifndef TARGET_RISCV_ISA_TABLE_H
#define TARGET_RISCV_ISA_TABLE_H

#include <stdint.h>

struct RvInsn;

typedef struct RvIsaEntry {
    const char *name;     /* "c.addi" */
    uint32_t mask, match; /* the fixed bits: word & mask == match */
    struct {
        uint32_t mask, bits;
    } unequal[2];          /* and (word & mask) != bits, where mask is not 0 */
    uint8_t width;         /* 16 or 32 */
    const char *format;    /* of the operands, "" without any */
    const char *exts;      /* alternatives of a+b, separated by spaces */
    const char *operation; /* the pseudo-code */
    uint64_t need[4];      /* exts as RV_EXT_BIT()s: all of one that is not 0 must be on */
    const char *
        target; /* the instruction whose translation it uses, its own name or that of what it expands to */
    void (*get)(struct RvInsn *i, uint32_t w); /* takes the operands out of a word; NULL: none */
} RvIsaEntry;

/* 32-bit instructions first; a special case stands before the instruction it is part of. */
extern const RvIsaEntry rv_isa_table[];
extern const unsigned rv_n_isa;

#endif

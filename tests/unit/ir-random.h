/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random IR programs and a made-up guest to run them on, for comparing two ways of executing IR:
 * plain against optimised in the interpreter (test-ir), or the interpreter against a host back end.
 *
 * A comparison goes:
 *
 *     ir_random_seed(&r, seed);
 *     ir_random_block(&r, ir, cflags);     depends on the seed alone: the same seed under another
 *                                          ir_opt_mask gives a block that means the same
 *     ir_random_cpu_init(&r, &a);          random state; a JIT adds its thunks to fn_table
 *     ir_random_cpu_copy(&b, &a);
 *     ir_random_interp(ir, &a);            sets exit, faulted, pc
 *     ...                                  the other way on b: catch faults by sigsetjmp(b.loop)
 *                                          and set the same fields
 *     ir_random_cpu_same(&a, &b, why);
 *
 * The guest: 14 i64 registers x0.. and 4 i32 registers w0.., of which some ask for a host register,
 * and 4 pages of memory from IR_RANDOM_MEM on: the first is in the read and the write TLB of the
 * context, the second only in the read TLB, the third in none, and the upper half of the fourth
 * faults. Every operation is generated, calls of helpers of each kind of effect too; a memory
 * access or a call that may fault sometimes does.
 */
#ifndef TESTS_UNIT_IR_RANDOM_H
#define TESTS_UNIT_IR_RANDOM_H

#include <setjmp.h>
#include "tcg/abi.h"

enum {
    IR_RANDOM_N_X = 14,
    IR_RANDOM_N_W = 4,
    IR_RANDOM_N_REGS = IR_RANDOM_N_X + IR_RANDOM_N_W,
    IR_RANDOM_MEM = 0x10000, /* guest address of the memory */
    IR_RANDOM_MEM_SIZE = 0x4000,
    IR_RANDOM_TLB_ENTRIES = 256,
    IR_RANDOM_JC_ENTRIES = 256,
};

/* A generator; ir_random_seed() before use. */
typedef struct IrRandom {
    uint64_t state;
} IrRandom;

typedef struct IrRandomContext {
    struct {
        uint64_t va;
        const void *code;
    } jc[IR_RANDOM_JC_ENTRIES];
    struct {
        uint64_t tag, addend;
    } read[IR_RANDOM_TLB_ENTRIES], write[IR_RANDOM_TLB_ENTRIES];
} IrRandomContext;

/* The guest's CPU, laid out as ir_random_abi says. Not to be copied by assignment: it points
 * into itself. */
typedef struct IrRandomCpu {
    uint32_t exit_request;
    uint64_t pc, pc_page;
    IrRandomContext *ctx;
    uint64_t host_pc;
    int64_t icount_left;
    uint64_t arg[4], save[16], spill[TCG_N_SPILLS];
    void *fn_table[TCG_N_FNS];
    void *helper_table;
    uint64_t x[IR_RANDOM_N_X];
    uint32_t w[IR_RANDOM_N_W];
    IrRandomContext context;
    uint8_t mem[IR_RANDOM_MEM_SIZE];

    sigjmp_buf loop;           /* where a guest fault goes */
    const IrInsn *volatile at; /* the interpreter's current insn */
    bool trace; /* log the registers at every memory access (no host back end can keep up) */
    /* What happened. */
    uint64_t log; /* hash of all that helpers and accesses saw */
    TcgExit exit; /* if it did not fault */
    bool faulted;
    unsigned accesses;
} IrRandomCpu;

extern const IrTarget ir_random_target;
extern const TcgAbi ir_random_abi;

void ir_random_seed(IrRandom *r, uint64_t seed);
/* 64 random bits. */
uint64_t ir_random_next(IrRandom *r);
/* 0 .. @n - 1; @n at least 1. */
unsigned ir_random_below(IrRandom *r, unsigned n);
/* A 64-bit value that is often at an edge: 0, 1, the signed minimum, few bits. */
uint64_t ir_random_edge(IrRandom *r);

/* Resets @ir (of ir_random_target) and builds a valid block into it with the folding that
 * ir_opt_mask asks for. */
void ir_random_block(IrRandom *r, IrBlock *ir, uint32_t cflags);

/* Fills registers, memory and TLBs of @cpu; fn_table gets the slow-path functions, a back end
 * adds its thunks. */
void ir_random_cpu_init(IrRandom *r, IrRandomCpu *cpu);
/* The same guest state in another place, host pointers of the TLBs moved along. */
void ir_random_cpu_copy(IrRandomCpu *to, const IrRandomCpu *from);

/* Interprets @ir; sets faulted, exit, and pc to where the guest goes on (at a fault: the
 * faulting insn). */
void ir_random_interp(const IrBlock *ir, IrRandomCpu *cpu);

/* Whether both ended in the same state in the same way; else appends what differs to @why. */
bool ir_random_cpu_same(const IrRandomCpu *a, const IrRandomCpu *b, GString *why);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the differential tests share: harts without threads, a little RAM, and blocks that are translated, published in the real code
 * cache and entered one at a time.
 */
#ifndef TESTS_DIFF_DIFF_H
#define TESTS_DIFF_DIFF_H

#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"
#include "target/riscv/cpu.h"

/* RAM is so small that a round can restore and compare all of it. */
enum { DIFF_RAM_BASE = 0x80000000, DIFF_RAM_SIZE = 0x8000 };

extern RvCpu *diff_jit_cpu, *diff_interp_cpu;
extern MemoryRegion diff_ram;

/* Makes RAM, code cache and two harts; once. Host features must be chosen before (tcg_backend_set_features()). */
void diff_set_up(unsigned xlen);
/* IR of the block at @key, optimised by the passes of @opt_mask, into @ir; at most @max_insns. */
void diff_build(IrBlock *ir, const BlockKey *key, unsigned opt_mask, unsigned max_insns);
/* Compiles @ir and puts it into the code cache. NULL: the compiler refused. */
CodeBlock *diff_publish(IrBlock *ir, const BlockKey *key);
/* Makes @cpu ready to enter a block at @pc, nothing cached. */
void diff_start(RvCpu *cpu, uint64_t pc);
/* Enters @block on the JIT's hart, between tcg_fp_enter() and tcg_fp_leave(). May not return (guest exception: Cpu.loop). */
TcgExit diff_enter(const CodeBlock *block);

#endif

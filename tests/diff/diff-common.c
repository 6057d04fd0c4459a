/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Harts and blocks of the differential tests (diff.h). Only one thread runs, and it is the vCPUs' own: nothing has to be waited for.
 */
#include "tests/diff/diff.h"
#include "target/riscv/csr.h"

RvCpu *diff_jit_cpu, *diff_interp_cpu;
MemoryRegion diff_ram;
static TcgEnterFn *enter;
static void *fns[TCG_N_FNS];
static TcgCompiler *compiler;

void diff_build(IrBlock *ir, const BlockKey *key, unsigned opt_mask, unsigned max_insns)
{
    CodeReader reader = { .host = ram_base + (key->phys & ~4095ull) };
    GError *error = NULL;

    ir_opt_mask = opt_mask;
    ir_block_reset(ir, key->phys & 4095, key->cflags);
    rv_translate(ir, key, &reader, max_insns);
    if (ir->n_guest_insns) {
        if (key->phys & 2) { /* the compiler is to do as well without */
            ir_optimise(ir);
        }
        if (!ir_verify(ir, &error)) {
            g_error("malformed IR: %s", error->message);
        }
    }
}

void diff_start(RvCpu *cpu, uint64_t pc)
{
    cpu->parent.pc = pc;
    cpu->parent.pc_page = pc & ~4095ull;
    cpu->parent.host_pc = 0;
    cpu->parent.interp_at = NULL;
    cpu->parent.interp_block = NULL;
    cpu->parent.exit_request = 0;
    cpu->parent.icount_left = 1000;
    rv_csr_update_rounding(cpu);
    rv_cpu_update_mode(cpu);
    cpu_tlb_flush_all(&cpu->parent);
}

CodeBlock *diff_publish(IrBlock *ir, const BlockKey *key)
{
    CodeBlock proto = { .key = *key, .n_insns = (uint16_t)ir->n_guest_insns, .chunks = ~0ull };
    CodeBlock *block;
    TcgCode code;
    bool full;

    do {
        uint32_t seq[2] = { 0, 0 };

        /* Only this thread runs guest code: there is nothing to wait for. */
        while (!code_page_begin(&diff_jit_cpu->parent, ram_base + key->phys, &seq[0])) {
            code_page_settle(ram_base + key->phys);
        }
        if (!tcg_compiler_compile(compiler, ir, &code)) {
            return NULL;
        }
        block = code_cache_add(&proto, &code, seq, &full);
        if (full) {
            code_cache_flush();
        }
    } while (!block);
    return block;
}

TcgExit diff_enter(const CodeBlock *block)
{
    return enter(&diff_jit_cpu->parent, block->code);
}

static RvCpu *make_cpu(const TargetOps *target, unsigned index)
{
    GError *error = NULL;
    Cpu *cpu = target->create("max", index, &error);

    if (!cpu) {
        g_error("%s", error->message);
    }
    cpu->index = index;
    cpu_register(cpu);
    target->reset(cpu);
    return rv_cpu(cpu);
}

void diff_set_up(unsigned xlen)
{
    const TargetOps *target = target_find(xlen == 32 ? "riscv32" : "riscv64");
    CpuConfig config = { .code_cache_size = 8 << 20 };
    GError *error = NULL;

    if (!memory_init(64 << 20, &error) ||
        !memory_region_init_ram(&diff_ram, "ram", DIFF_RAM_SIZE, &error) ||
        !cpu_core_init(target, &config, &error)) {
        g_error("%s", error->message);
    }
    memory_region_add(memory_system(), DIFF_RAM_BASE, &diff_ram, 0);
    memory_commit();
    diff_jit_cpu = make_cpu(target, 0);
    diff_interp_cpu = make_cpu(target, 1);
    compiler = tcg_compiler_new(&cpu_abi);
    code_cache_thunks(fns, &enter);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -icount: virtual time as a function of executed instructions. Each vCPU runs for a budget that ends at the next virtual timer, or with its turn;
 * timers fire between budgets in the vCPU thread. When no vCPU can run, time jumps to the next timer.
 */
#include "softmmu/clock.h"
#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"

static uint64_t total; /* executed by all vCPUs before the current budget; atomic */
static int64_t warped; /* ns skipped while nothing could run; atomic */
static int64_t budget;
static Cpu *current; /* whose budget it is; NULL between budgets */

bool cpu_icount_enabled(void)
{
    return cpu_config.icount;
}

/* Instructions that were counted but not executed yet: of the current block behind the running one, and that one. */
static unsigned not_yet_executed(const Cpu *cpu)
{
    if (cpu->host_pc) {
        const CodeBlock *block = code_cache_block_at(cpu->host_pc);

        /* A block from before counting began: cpu_count_instructions() counted the running insn. */
        return block->key.cflags & IR_CF_ICOUNT
                   ? block->n_insns - code_block_site(block, cpu->host_pc)->insn
                   : 1;
    }
    return cpu->interp_at ? 1 : 0;
}

static uint64_t executed(void)
{
    uint64_t n = __atomic_load_n(&total, __ATOMIC_RELAXED);

    if (current) {
        n += (uint64_t)(budget - current->icount_left) - not_yet_executed(current);
    }
    return n;
}

uint64_t cpu_instructions(Cpu *cpu)
{
    (void)cpu;
    return cpu_config.icount ? executed() : (uint64_t)clock_now(CLOCK_VIRTUAL);
}

/* A budget that never ends. */
static const int64_t endless = INT64_MAX / 2;

void cpu_count_instructions(Cpu *cpu)
{
    if (!cpu_config.icount && !cpu->count_insns) {
        cpu->count_insns = true;
        cpu->icount_left = endless - 1;
        cpu_tlb_flush_all(cpu); /* the jump caches lead to blocks that do not count */
    }
}

uint64_t cpu_retired(Cpu *cpu)
{
    return cpu->count_insns ? (uint64_t)(endless - cpu->icount_left) - not_yet_executed(cpu)
                            : cpu_instructions(cpu);
}

static int64_t icount_now(void)
{
    return (int64_t)(executed() << cpu_config.icount_shift) +
           __atomic_load_n(&warped, __ATOMIC_RELAXED);
}

void icount_init(void)
{
    clock_use_icount(icount_now);
}

static void run_timers(void)
{
    int64_t deadline = clock_next_virtual_deadline();

    if (deadline >= 0 && deadline <= icount_now()) {
        machine_lock();
        clock_run_virtual_timers();
        machine_unlock();
    }
}

void icount_begin(Cpu *cpu, int64_t max)
{
    int64_t deadline, n = max;

    run_timers();
    deadline = clock_next_virtual_deadline();
    if (deadline >= 0) {
        int64_t ns = deadline - icount_now();
        int64_t insns = (ns + (1ll << cpu_config.icount_shift) - 1) >> cpu_config.icount_shift;

        n = CLAMP(insns, 1, max);
    }
    budget = n;
    cpu->icount_left = n;
    current = cpu;
}

int64_t icount_end(Cpu *cpu)
{
    int64_t n = budget - cpu->icount_left;

    current = NULL;
    budget = 0;
    cpu->icount_left = 0;
    __atomic_store_n(&total, total + (uint64_t)n, __ATOMIC_RELAXED);
    run_timers();
    return n;
}

bool icount_warp(void)
{
    int64_t deadline = clock_next_virtual_deadline();
    int64_t now = icount_now();

    if (deadline < 0) {
        return false;
    }
    if (deadline > now) {
        __atomic_store_n(&warped, warped + deadline - now, __ATOMIC_RELAXED);
    }
    run_timers();
    return true;
}

void icount_timer_changed(void)
{
    if (current) {
        /* The budget may reach past the new deadline. The vCPU sets its own flag, so this too is deterministic. */
        __atomic_store_n(&current->exit_request, 1, __ATOMIC_SEQ_CST);
    }
}

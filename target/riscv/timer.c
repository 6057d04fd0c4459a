/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time: the time CSR's source and the supervisor timer of Sstc (manual: "Sstc", "Supervisor Timer (stimecmp)").
 *
 * STIP in mip_lines is set while time >= stimecmp and menvcfg.STCE is on. The vCPU writes stimecmp, the timer fires in the main thread: both
 * look at stimecmp and the time and set or clear STIP under stimer_lock, so whoever comes last is right.
 */
#include "target/riscv/csr.h"

enum { DEFAULT_FREQ = 10000000, NS = 1000000000 };

static uint64_t virtual_ticks(void *opaque)
{
    return (uint64_t)clock_now(CLOCK_VIRTUAL) / (NS / DEFAULT_FREQ);
}

uint64_t rv_cpu_time(const RvCpu *cpu)
{
    return cpu->time_now(cpu->time_opaque);
}

/* When CLOCK_VIRTUAL will have moved by @ticks, at the latest; -1: not in this machine's life. */
static int64_t deadline_in(const RvCpu *cpu, uint64_t ticks)
{
    __uint128_t ns = ((__uint128_t)ticks * NS + cpu->time_freq - 1) / cpu->time_freq;
    int64_t now = clock_now(CLOCK_VIRTUAL);

    return ns > (__uint128_t)(INT64_MAX - now) ? -1 : now + (int64_t)ns;
}

static void set_stip(RvCpu *cpu, bool on)
{
    uint32_t bit = 1u << RV_IRQ_STI;

    if (on) {
        __atomic_fetch_or(&cpu->mip_lines, bit, __ATOMIC_SEQ_CST);
    } else {
        __atomic_fetch_and(&cpu->mip_lines, ~bit, __ATOMIC_SEQ_CST);
    }
}

/* True: STIP is set now. */
static bool update_locked(RvCpu *cpu)
{
    uint64_t now = rv_cpu_time(cpu), when = __atomic_load_n(&cpu->stimecmp, __ATOMIC_SEQ_CST);
    bool on = __atomic_load_n(&cpu->menvcfg, __ATOMIC_RELAXED) & RV_MENVCFG_STCE,
         due = on && now >= when;
    int64_t deadline = on && !due ? deadline_in(cpu, when - now) : -1;

    if (deadline >= 0) {
        timer_set(&cpu->stimer, deadline);
    } else {
        timer_cancel(&cpu->stimer);
    }
    set_stip(cpu, due);
    return due;
}

void rv_timer_update(RvCpu *cpu)
{
    g_mutex_lock(&cpu->stimer_lock);
    update_locked(cpu);
    g_mutex_unlock(&cpu->stimer_lock);
}

static void stimer_fire(void *opaque)
{
    RvCpu *cpu = opaque;
    bool due;

    g_mutex_lock(&cpu->stimer_lock);
    due = update_locked(cpu);
    g_mutex_unlock(&cpu->stimer_lock);
    if (due) {
        cpu_kick(&cpu->parent);
    }
}

void rv_timer_init(RvCpu *cpu)
{
    g_mutex_init(&cpu->stimer_lock);
    timer_init(&cpu->stimer, CLOCK_VIRTUAL, stimer_fire, cpu);
    rv_cpu_set_time_source(cpu, virtual_ticks, NULL, DEFAULT_FREQ);
}

void rv_timer_finish(RvCpu *cpu)
{
    timer_cancel(&cpu->stimer);
    g_mutex_clear(&cpu->stimer_lock);
}

void rv_cpu_set_time_source(RvCpu *cpu, uint64_t (*now)(void *), void *opaque, uint64_t freq)
{
    cpu->time_now = now;
    cpu->time_opaque = opaque;
    cpu->time_freq = freq;
}

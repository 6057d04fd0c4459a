/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Breakpoints, watchpoints and single steps for a debugger. The lists change only while the vCPUs are paused.
 *
 * Pages with a breakpoint run as single-insn blocks that are never linked or cached by address, so the run loop sees each pc there. Pages with a
 * watchpoint get no TLB entry, so each access takes the slow path; a hit restores the state before the insn, runs that insn once unwatched,
 * and stops after it.
 */
#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/runstate.h"
#include "softmmu/tlb-priv.h"

typedef struct Watchpoint {
    uint64_t va, len;
    MemAccess access;
} Watchpoint;

static GArray *breakpoints; /* of uint64_t */
static GArray *watchpoints; /* of Watchpoint */
static unsigned n_breakpoints;
unsigned debug_n_watchpoints;

static struct {
    bool hit;
    uint64_t va;
    MemAccess access;
} last_watch[64];

bool debug_breakpoint_at(uint64_t va)
{
    for (unsigned i = 0; i < n_breakpoints; i++) {
        if (g_array_index(breakpoints, uint64_t, i) == va) {
            return true;
        }
    }
    return false;
}

bool debug_page_has_breakpoint(uint64_t va)
{
    for (unsigned i = 0; i < n_breakpoints; i++) {
        if (g_array_index(breakpoints, uint64_t, i) >> 12 == va >> 12) {
            return true;
        }
    }
    return false;
}

void cpu_breakpoint_insert(uint64_t va)
{
    if (!breakpoints) {
        breakpoints = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    }
    g_array_append_val(breakpoints, va);
    n_breakpoints = breakpoints->len;
    tlb_flush_jumps_all();
}

bool cpu_breakpoint_remove(uint64_t va)
{
    for (unsigned i = 0; i < n_breakpoints; i++) {
        if (g_array_index(breakpoints, uint64_t, i) == va) {
            g_array_remove_index(breakpoints, i);
            n_breakpoints = breakpoints->len;
            return true;
        }
    }
    return false;
}

void cpu_breakpoint_clear(void)
{
    if (breakpoints) {
        g_array_set_size(breakpoints, 0);
    }
    n_breakpoints = 0;
}

void cpu_single_step(Cpu *cpu, bool on)
{
    cpu->single_step = on;
    cpu->step_done = false;
}

void debug_stop(Cpu *cpu)
{
    cpu->debug_hold = true;
    cpu->single_step = cpu->step_done = cpu->watch_step = false;
    vm_request_debug_stop(cpu->index);
}

static void flush_all_tlbs(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_tlb_flush_all(g_ptr_array_index(cpus, i));
    }
}

void cpu_watchpoint_insert(uint64_t va, uint64_t len, MemAccess access)
{
    Watchpoint w = { va, len, access };

    if (!watchpoints) {
        watchpoints = g_array_new(FALSE, FALSE, sizeof(Watchpoint));
    }
    g_array_append_val(watchpoints, w);
    debug_n_watchpoints = watchpoints->len;
    flush_all_tlbs();
}

bool cpu_watchpoint_remove(uint64_t va, uint64_t len, MemAccess access)
{
    for (unsigned i = 0; i < debug_n_watchpoints; i++) {
        const Watchpoint *w = &g_array_index(watchpoints, Watchpoint, i);

        if (w->va == va && w->len == len && w->access == access) {
            g_array_remove_index(watchpoints, i);
            debug_n_watchpoints = watchpoints->len;
            return true;
        }
    }
    return false;
}

bool debug_page_is_watched(uint64_t va)
{
    for (unsigned i = 0; i < debug_n_watchpoints; i++) {
        const Watchpoint *w = &g_array_index(watchpoints, Watchpoint, i);

        if (w->va >> 12 <= va >> 12 && va >> 12 <= (w->va + w->len - 1) >> 12) {
            return true;
        }
    }
    return false;
}

void debug_check_watch(Cpu *cpu, uint64_t va, unsigned len, MemAccess access)
{
    for (unsigned i = 0; i < debug_n_watchpoints; i++) {
        const Watchpoint *w = &g_array_index(watchpoints, Watchpoint, i);

        if ((w->access & access) && va < w->va + w->len && w->va < va + len) {
            last_watch[cpu->index].hit = true;
            last_watch[cpu->index].va = w->va;
            last_watch[cpu->index].access = w->access;
            cpu_restore_state(cpu);
            cpu->watch_step = true;
            cpu_loop_exit(cpu);
        }
    }
}

bool cpu_watchpoint_hit(Cpu *cpu, uint64_t *va, MemAccess *access)
{
    bool hit = last_watch[cpu->index].hit;

    *va = last_watch[cpu->index].va;
    *access = last_watch[cpu->index].access;
    last_watch[cpu->index].hit = false;
    return hit;
}

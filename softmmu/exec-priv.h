/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the run loop (exec.c), memory access (access.c), threads (cpu.c), icount and the debugger.
 */
#ifndef SOFTMMU_EXEC_PRIV_H
#define SOFTMMU_EXEC_PRIV_H

#include "softmmu/cpu.h"

extern CpuConfig cpu_config;
extern const TargetOps *cpu_target;
extern TcgAbi cpu_abi;

/* Runs guest code on @cpu until something outside is wanted (halt, pause, debug stop, icount budget used up). Own thread. */
void cpu_exec(Cpu *cpu);
/* Makes this thread's translator; frees it. */
void exec_init_cpu(Cpu *cpu);
void exec_free_cpu(Cpu *cpu);
/* What generated code and the interpreter call for memory (TCG_FN_LOAD, TCG_FN_STORE). */
uint64_t access_load(Cpu *cpu, uint64_t va, uint32_t memop);
void access_store(Cpu *cpu, uint64_t va, uint64_t value, uint32_t memop);
/* The RAM page executed at @va, filling the fetch TLB; raises the guest's fetch fault. */
uint8_t *access_fetch_page(Cpu *cpu, uint64_t va);
/* The same without exceptions, for the page that an insn may cross into. NULL: not executable. Both tell in Cpu.fetch_split whether
 * the answer holds for this address only. */
uint8_t *access_fetch_page_try(Cpu *cpu, uint64_t va);

/* Drops the TLBs if the memory map changed since they were filled. The vCPU's own thread. */
void access_check_map(Cpu *cpu);

/* Between these two a vCPU may execute guest code; cpu_exec_begin waits while another thread holds the vCPUs. */
void cpu_exec_begin(Cpu *cpu);
void cpu_exec_end(Cpu *cpu);
bool cpu_must_leave(Cpu *cpu); /* a pause or exclusive section is asked for */

/* debug.c */
bool debug_page_has_breakpoint(uint64_t va);
bool debug_breakpoint_at(uint64_t va);
/* Ends this vCPU's run with a debug stop; it waits for cpu_resume_all(). */
void debug_stop(Cpu *cpu);
extern unsigned debug_n_watchpoints;
/* Raises a watchpoint stop (does not return) if [va, va+len) is watched for @access. */
void debug_check_watch(Cpu *cpu, uint64_t va, unsigned len, MemAccess access);
bool debug_page_is_watched(uint64_t va);

/* icount.c */
void icount_init(void);
enum { ICOUNT_TURN = 100000 };
/* Gives @cpu up to @max instructions to run; accounts what it ran, and returns that. */
void icount_begin(Cpu *cpu, int64_t max);
int64_t icount_end(Cpu *cpu);
/* No CPU can run: moves the virtual clock to the next timer. False: there is none. */
bool icount_warp(void);
/* A virtual timer was set: the current budget may be too long (called by clock.c). */
void icount_timer_changed(void);

#endif

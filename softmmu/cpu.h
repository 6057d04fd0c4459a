/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The virtual CPU as the core sees it, and what a target (guest ISA) gives to the core.
 *
 * A target embeds Cpu as the first member of its own struct (RvCpu), a GObject type derived from CPU_TYPE. Guest registers lie in
 * the target's struct at the offsets its IrReg table declares; while translated code runs, pinned ones live in host
 * registers and are exact in the struct only inside helpers that declare IR_HELPER_READS/WRITES/FAULTS and outside generated code.
 *
 * Threads: one host thread per vCPU (one for all with -icount). Fields are the vCPU thread's own unless marked atomic.
 */
#ifndef SOFTMMU_CPU_H
#define SOFTMMU_CPU_H

#include <glib-object.h>
#include <setjmp.h>
#include "softmmu/irq.h"
#include "tcg/abi.h"
#include "tcg/fp.h"
#include "tcg/ir.h"
#include "util/state.h"

typedef struct Cpu Cpu;
typedef struct TlbContext TlbContext;
typedef struct CodeBlock CodeBlock;

/* BlockKey.phys2 when there is no such page. 0 is one: the first page of RAM. */
#define BLOCK_PAGE2_NOT_EXECUTABLE (UINT64_MAX - 1)
#define BLOCK_PAGE2_NONE           UINT64_MAX

/* All that a translation may depend on besides the code bytes. */
typedef struct BlockKey {
    uint64_t phys;  /* guest-physical address of the first byte */
    uint64_t phys2; /* of the next virtual page, if the only insn may cross into it; else BLOCK_* */
    uint32_t
        mode; /* the target's bits: register width, extensions on, FP state, privilege if it matters */
    uint32_t cflags; /* IR_CF_* */
} BlockKey;

/* Hands a translator the code bytes: at most to the end of the block's page, and for a first insn that crosses, the next page. */
typedef struct CodeReader {
    const uint8_t *host;  /* the block's page */
    const uint8_t *host2; /* the next virtual page, or NULL: not mapped executable */
    uint64_t chunks;      /* 64-byte chunks of the block's page that were read */
    uint32_t end;         /* offset from the page's start of the byte behind the last one read */
} CodeReader;

/* 2 bytes (little-endian) at @page_offset from the start of the block's page (even, 0-4096+). False: past the page, and either not
 * the first insn's tail or the next page is not executable; the translator ends the block before that insn. */
static inline bool code_reader_u16(CodeReader *reader, uint32_t page_offset, uint16_t *value)
{
    const uint8_t *p = reader->host + page_offset;

    if (page_offset >= 4096) {
        if (!reader->host2 || page_offset >= 8192) {
            return false;
        }
        p = reader->host2 + (page_offset - 4096);
    }
    *value = (uint16_t)(p[0] | p[1] << 8);
    reader->end = MAX(reader->end, page_offset + 2);
    reader->chunks |= 1ull << (MIN(page_offset, 4095) >> 6);
    return true;
}

typedef enum MemAccess { MEM_LOAD = 1, MEM_STORE = 2, MEM_FETCH = 4 } MemAccess;
enum { MEM_PROT_R = 1, MEM_PROT_W = 2, MEM_PROT_X = 4 };

typedef enum MemFault {
    MEM_FAULT_WALK,  /* TargetOps.walk refused; TlbFill.fault is its own code */
    MEM_FAULT_BUS,   /* nothing or a refusing device at the physical address */
    MEM_FAULT_ALIGN, /* IR_MEM_ALIGN, or an atomic, and misaligned */
} MemFault;

typedef struct TlbFill {
    uint64_t phys;     /* of the page holding va (low 12 bits ignored) */
    uint8_t prot;      /* MEM_PROT_*: what may be cached now (W only once the page is dirty) */
    uint8_t page_bits; /* log2 of the mapping's size: 12, 21, 30 ... (64: no translation at all) */
    bool no_cache;     /* protection is finer than the page: ask again at each access */
    bool global;       /* the mapping is in all address spaces (ContextKey.shared) */
    uint32_t fault;    /* target's code, when walk returned false */
} TlbFill;

/* What tells address spaces apart. Same key: same translations, until an invalidation. */
typedef struct ContextKey {
    uint64_t root; /* page-table root register (with its mode) */
    uint32_t asid;
    uint32_t mode; /* target's bits: fetch and data privilege, SUM, MXR, ... */
    bool
        shared; /* one context for all roots of this mode: what is not global goes when root or asid change */
} ContextKey;

typedef struct CpuGdbReg {
    const char *name;
    uint8_t bits;
} CpuGdbReg;

typedef struct TargetOps {
    const char *name;        /* "riscv64" */
    const char *default_cpu; /* of -cpu */
    IrTarget ir;
    /* Appends the insn at @code (@len >= 2 bytes, at virtual address @pc) to @out without a newline, or a data directive if it
     * is none; the bytes used, 1 to @len. Any thread, any bytes. NULL: this target cannot. */
    unsigned (*disassemble)(const uint8_t *code, size_t len, uint64_t pc, GString *out);
    bool big_endian;
    uint8_t address_bits; /* width of a guest virtual address as printed: 32 or 64 */

    /* A CPU for "-cpu @option" ("rv64,zba=off"); NULL with an error naming the misspelt property and the nearest right one. */
    Cpu *(*create)(const char *option, unsigned index, GError **error);
    /* Prints "-cpu help". */
    void (*list_cpus)(GString *out);
    void (*reset)(Cpu *cpu);
    /* Fills mode from the Cpu. Called at each lookup: a few instructions, kept ready by the target. */
    uint32_t (*block_mode)(const Cpu *cpu);
    /* Builds IR of the block at @key from its bytes, until it ends, the page ends, ir_block_has_room() is false or @max_insns were
     * translated. Depends on nothing but key and bytes. */
    void (*translate)(IrBlock *ir, const BlockKey *key, CodeReader *reader, unsigned max_insns);
    /* Translates @va for @access. @debug: no side effects (no A/D bits), privilege checks off. False: fill->fault. */
    bool (*walk)(Cpu *cpu, uint64_t va, MemAccess access, bool debug, TlbFill *fill);
    /* Raises the guest exception for a failed access and does not return (cpu_loop_exit). The guest state was restored. */
    G_NORETURN void (*raise_memory_fault)(Cpu *cpu, uint64_t va, MemAccess access, MemFault why,
                                          uint32_t fault);
    /* Takes a pending, enabled interrupt: sets pc and state. False: none. */
    bool (*interrupt)(Cpu *cpu);
    /* Something that ends a wait-for-interrupt is pending. */
    bool (*has_work)(Cpu *cpu);
    /* Guest state was restored to the insn with this page offset's pc; @word as given to ir_insn(). May be NULL. */
    void (*restore)(Cpu *cpu, uint32_t word);
    void (*dump)(Cpu *cpu, GString *out); /* "info registers" */
    /* Registers in gdb's order for the target description; values little-endian in @buf, the size in bytes returned, 0: no such. */
    const char *(*gdb_xml)(
        Cpu *cpu,
        const char *annex); /* "target.xml", ...: NULL if there is none; static or Cpu's */
    unsigned (*gdb_read)(Cpu *cpu, unsigned reg, uint8_t *buf);
    unsigned (*gdb_write)(Cpu *cpu, unsigned reg, const uint8_t *buf);
    unsigned gdb_core_regs;  /* how many registers the 'g' packet has */
    const StateField *state; /* of the target's struct; reset does not use it */
    /* After a snapshot was loaded through the table: what follows from the fields (contexts, timers). May be NULL. */
    void (*state_loaded)(Cpu *cpu);
    void (*const *counted_helpers)(
        void); /* the functions of ir.helpers with a count in Cpu.helper_calls; NULL: there are none */
} TargetOps;

enum { CPU_N_CONTEXTS = 16 };

/* Counters behind "info jit"; written by the vCPU's thread only. */
typedef struct CpuStats {
    uint64_t tlb_fills, io_accesses, slow_accesses, context_switches, context_recycles, flush_pages,
        flush_contexts;
    uint64_t lookups, jc_misses, links, revived, translations, translated_insns, translated_bytes,
        timed_insns; /* in translations whose time was taken */
    int64_t timed_us;
    uint64_t exits[5]; /* by TcgExit */
    uint64_t guest_faults, interrupts, halts;
} CpuStats;

struct Cpu {
    GObject parent;
    const TargetOps *ops;

    /* Shared with generated code (TcgAbi). */
    uint32_t exit_request; /* atomic: leave generated code soon */
    uint32_t index;
    uint64_t pc; /* guest PC; exact only outside generated code */
    uint64_t pc_page;
    TlbContext *ctx;
    uint64_t host_pc;
    int64_t icount_left;
    uint64_t arg[4];
    uint64_t save[32];
    TcgFp fp;
    void *fn_table[TCG_N_FNS];
    void *helper_table;
    uint64_t spill[TCG_N_SPILLS];

    /* The run loop's. */
    sigjmp_buf loop;
    const IrInsn *volatile interp_at;
    CodeBlock *volatile interp_block;
    TlbContext *contexts[CPU_N_CONTEXTS];
    ContextKey context_keys[CPU_N_CONTEXTS];
    uint8_t context_hint[64]; /* hash of a key -> slot where it was last */
    uint64_t context_clock;   /* stamps for recycling the least recently used */
    uint64_t memory_serial;   /* of the memory map that the TLBs were filled from */
    bool count_insns;         /* retired insns are counted exactly (cpu_count_instructions) */
    bool halted;              /* waits for an interrupt */
    bool single_step;         /* the debugger's: one insn, then a debug stop */
    bool debug_hold;          /* stopped for the debugger until the next cpu_resume_all() */
    bool step_done;           /* that insn was run: stop before the next */
    bool fetch_split;         /* protection is finer than the page that was fetched from last */
    bool watch_step;          /* re-runs the insn that hit a watchpoint, unwatched */
    struct CpuThread *thread; /* cpu.c */
    struct Translator *translator; /* exec.c: IR block and compiler of this thread */
    CpuStats stats;
    uint64_t *helper_calls; /* by helper; NULL: not counted */
};

GType cpu_get_type(void);
#define CPU_TYPE (cpu_get_type())
typedef struct CpuClass {
    GObjectClass parent;
} CpuClass;

/* ---- The list of CPUs ---- */
extern GPtrArray *cpus; /* of Cpu *, by index */
/* The target of this name ("riscv64"), or NULL; target/targets.c. */
const TargetOps *target_find(const char *name);
const TargetOps *const *target_list(void); /* NULL-terminated */

/* ---- For targets: contexts and TLB (the vCPU's own thread, or the vCPU stopped) ---- */

/* Makes the context for @key current (a new or recycled one if there is none); flushes nothing else. Cheap on a hit. */
void cpu_set_context(Cpu *cpu, const ContextKey *key);
/* What an invalidation names. */
typedef struct TlbFlush {
    bool by_va, by_asid;
    uint64_t va;
    uint32_t asid;
} TlbFlush;
/* Drops the matching translations of this vCPU. */
void cpu_tlb_flush(Cpu *cpu, const TlbFlush *what);
/* Drops everything (a protection register changed). */
void cpu_tlb_flush_all(Cpu *cpu);

/* ---- For helpers: memory by virtual address with the guest's checks; may not return (guest exception) ---- */

uint64_t cpu_load(Cpu *cpu, uint64_t va, uint32_t memop); /* IrMemOp */
void cpu_store(Cpu *cpu, uint64_t va, uint64_t value, uint32_t memop);
/* Host address of @size naturally aligned bytes at @va, readable and writable, for a host atomic: misaligned raises
 * MEM_FAULT_ALIGN, a device raises MEM_FAULT_BUS. With @access MEM_LOAD only readability is asked (LR). Translated code in these
 * bytes is dropped first (MEM_STORE). */
void *cpu_atomic_ptr(Cpu *cpu, uint64_t va, unsigned size, MemAccess access);
/* Checks @len bytes at @va for @access as a load or store would (cache-block operations); raises like them. */
void cpu_probe(Cpu *cpu, uint64_t va, unsigned len, MemAccess access);
/* For gdb and the monitor: no guest exceptions, no side effects; false: not mapped. */
bool cpu_debug_read(Cpu *cpu, uint64_t va, void *buf, size_t len);
bool cpu_debug_write(Cpu *cpu, uint64_t va, const void *buf, size_t len);
bool cpu_debug_translate(Cpu *cpu, uint64_t va, uint64_t *phys);

/* ---- For targets: leaving generated code ---- */

/* Makes Cpu.pc (and by TargetOps.restore the rest) exact at the guest insn whose helper or memory access is running. */
void cpu_restore_state(Cpu *cpu);
/* Back to the run loop, which goes on at Cpu.pc; never returns. Call cpu_restore_state() first unless pc is set. */
G_NORETURN void cpu_loop_exit(Cpu *cpu);
/* Waits for an interrupt from the next insn on: pc must be set past the waiting insn; never returns. */
G_NORETURN void cpu_halt(Cpu *cpu);

/* ---- Interrupts; any thread ---- */

/* Makes the vCPU look at its interrupts (TargetOps.interrupt) soon: sets exit_request, wakes a halted one. */
void cpu_kick(Cpu *cpu);
/* Instructions executed under -icount by all vCPUs, exact inside helpers that declare FAULTS; without -icount
 * the virtual clock in ns. The source of instret/cycle counters. */
uint64_t cpu_instructions(Cpu *cpu);
bool cpu_icount_enabled(void);
/* Makes this vCPU count its own instructions exactly from the running one on, which costs a few percent: for a guest that set an
 * instruction counter. The caller's helper declares FAULTS and ends the block. Undone by reset. Own thread. */
void cpu_count_instructions(Cpu *cpu);
/* The count since then, exact in helpers that declare FAULTS; if it is not kept, cpu_instructions(). */
uint64_t cpu_retired(Cpu *cpu);

/* ---- For the machine, monitor and gdb: control (main thread) ---- */

typedef struct CpuConfig {
    bool interp;              /* -accel interp */
    bool one_insn;            /* -one-insn-per-tb */
    bool icount;              /* -icount */
    unsigned icount_shift;    /* 1 insn = 2^shift ns */
    uint64_t code_cache_size; /* bytes, 0: default */
    bool no_link;             /* -d nochain */
    bool
        no_tlb; /* -accel tlb=off: nothing remembered of translations, code compared each time it is entered */
    bool perfmap; /* -perfmap */
    bool profile; /* -accel ...,profile=on: helper calls are counted */
} CpuConfig;

/* Once before any CPU is made: code cache, thunks. @target: the guest of this machine. */
bool cpu_core_init(const TargetOps *target, const CpuConfig *config, GError **error);
/* Registers a new CPU made by TargetOps.create and prepares its contexts; its thread starts with cpu_start_threads(). */
void cpu_register(Cpu *cpu);
void cpu_start_threads(void);
/* All vCPUs out of guest code and held / let go. Nested pauses count. Main thread. */
void cpu_pause_all(void);
void cpu_resume_all(void);
/* Resets every CPU (paused). */
void cpu_reset_all(void);
/* Runs @f(cpu, opaque) in the vCPU's thread outside generated code and waits for it. Not from a vCPU thread. */
void cpu_run_on(Cpu *cpu, void (*f)(Cpu *, void *), void *opaque);
/* Ends all vCPU threads. */
void cpu_stop_threads(void);

/* Debugger: breakpoints by virtual address on all CPUs (paused). Single step: the CPU executes one insn after resume, then
 * vm_request_debug_stop(). Only that CPU runs while it steps if @alone. */
void cpu_breakpoint_insert(uint64_t va);
bool cpu_breakpoint_remove(uint64_t va);
void cpu_breakpoint_clear(void);
void cpu_single_step(Cpu *cpu, bool on);
/* Data watchpoints: a store (and/or load) touching [va, va+len) stops with pc after the access. */
void cpu_watchpoint_insert(uint64_t va, uint64_t len, MemAccess access);
bool cpu_watchpoint_remove(uint64_t va, uint64_t len, MemAccess access);
/* If the last debug stop of @cpu was a watchpoint: its address and kind. */
bool cpu_watchpoint_hit(Cpu *cpu, uint64_t *va, MemAccess *access);

/* Texts for the monitor. */
void cpu_jit_info(GString *out);           /* "info jit" */
void cpu_tlb_info(Cpu *cpu, GString *out); /* "info tlb" of the cached translations */

#endif

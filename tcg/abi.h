/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What generated code and the IR interpreter share with the run loop: where things lie in the Cpu and its contexts, how a
 * block is entered and left. The softmmu fills a TcgAbi once (its struct offsets); a host back end bakes only these
 * offsets into code, never a host address, so code can be moved and kept.
 *
 * Generated code runs with one host register at the Cpu, one at the current context, and pinned guest registers in others.
 *
 * Block entry invariant: Cpu.pc_page = virtual address of the 4 KiB page of the block's first instruction.
 *
 * Leaving: every unlinked or polled direct exit calls the thunk `exit_direct`, whose return address names the exit (the code
 * cache finds block and exit by it). Indirect exits look up the context's jump cache inline:
 *     index = (va & jc_mask);  entry = ctx + jc_offset + index * 8 = {uint64_t va; void *code}   (va even: 16 bytes an entry)
 * hit: Cpu.pc_page = va & ~4095, jump to code. Miss: Cpu.pc = va, thunk `exit_indirect`.
 * A backward direct exit (target <= the exiting insn) and every indirect exit first test Cpu.exit_request (32 bits) and
 * leave through the same slow way if it is not 0.
 *
 * TLB fast path for an access of n bytes at va: index = (va >> 12) & tlb_mask; entry = ctx + tlb_read/tlb_write +
 * index * 16 = {uint64_t tag; uint64_t addend}; d = va - tag; if d > 4096 - n (unsigned; with IR_MEM_ALIGN also va & (n-1) = 0): slow;
 * host address = addend + d (addend is the host address of the page). Invalid: any tag whose page has another index; zero
 * memory is invalid in every slot but 0 (whose invalid tag is 0x1000).
 * A jump-cache entry is invalid with code NULL; its va is then odd or of another slot (zero memory is invalid in every slot but 0).
 *
 * IR_CF_ICOUNT flavour: at the head icount_left -= n_guest_insns; negative: added back, thunk TCG_THUNK_ICOUNT. Each exit credits the
 * guest insns behind it that were not executed (TcgSite.insn); at a fault the run loop does so from the site.
 */
#ifndef TCG_ABI_H
#define TCG_ABI_H

#include <stdint.h>
#include "tcg/ir.h"

/* Functions that code reaches through [cpu + TcgAbi.fn_table + 8 * TcgFn]. The first ones are C functions of the softmmu;
 * the thunks after them are host code that the back end makes once (tcg_backend_make_thunks). */
typedef enum TcgFn {
    TCG_FN_LOAD, /* uint64_t f(Cpu *, uint64_t va, uint32_t memop): zero/sign-extended to 64 bits; may loop-exit */
    TCG_FN_STORE,     /* void f(Cpu *, uint64_t va, uint64_t value, uint32_t memop) */
    TCG_THUNK_MISS,   /* a memory access that the block does not do itself */
    TCG_THUNK_MISS_X, /* the same where vector registers are in use */
    TCG_THUNK_CALL_STATE,
    TCG_THUNK_CALL_FP, /* a helper with IR_HELPER_FP; keeps every register */
    TCG_THUNK_EXIT_DIRECT,
    TCG_THUNK_EXIT_INDIRECT,
    TCG_THUNK_LEAVE,
    TCG_THUNK_LEAVE_LOOKUP,
    TCG_THUNK_ICOUNT, /* block head found icount_left < n_guest_insns */
    TCG_THUNK_DEAD,   /* the killed entry of a block */
    TCG_N_FNS
} TcgFn;

/* Offsets from the Cpu pointer unless said otherwise. */
typedef struct TcgAbi {
    const IrTarget *target;
    uint32_t exit_request; /* uint32_t */
    uint32_t pc;           /* uint64_t */
    uint32_t pc_page;      /* uint64_t */
    uint32_t ctx;          /* void *: the current context */
    uint32_t host_pc; /* uint64_t: return address of the last call out of generated code; 0: none */
    uint32_t icount_left;  /* int64_t */
    uint32_t arg;          /* uint64_t [4]: arguments and result of thunks */
    uint32_t spill;        /* uint64_t [TCG_N_SPILLS]: the allocator's */
    uint32_t save;         /* uint64_t [32]: scratch in which thunks keep host registers */
    uint32_t fp;           /* TcgFp (tcg/fp.h) */
    uint32_t fn_table;     /* void *[TCG_N_FNS] */
    uint32_t helper_table; /* void *: address of an array of the target's helper functions */
    /* from the context pointer */
    uint32_t jc_offset, jc_mask; /* mask applied to the va: e.g. 0x1fffe */
    uint32_t tlb_read, tlb_write, tlb_mask;
} TcgAbi;

enum { TCG_N_SPILLS = 64 };

/* Why a block was left (return value of tcg_backend_enter and tcg_interp_run). */
typedef enum TcgExit {
    TCG_EXIT_DIRECT, /* through exit site Cpu.host_pc (interp: Cpu.arg[0] = exit number); Cpu.pc not yet set */
    TCG_EXIT_INDIRECT, /* jump cache miss or poll; Cpu.pc = target */
    TCG_EXIT_LEAVE,    /* a helper set Cpu.pc */
    TCG_EXIT_ICOUNT, /* nothing was executed: too little icount_left; Cpu.host_pc is in the block, Cpu.pc not set */
    TCG_EXIT_DEAD, /* nothing was executed: the block's entry is killed; Cpu.host_pc is in the block, Cpu.pc not set */
} TcgExit;

/* A place in generated code where the guest state can be asked for, or that leaves; sorted by host_offset. */
typedef struct TcgSite {
    uint32_t host_offset; /* return address of its call, from the start of the block's code */
    int32_t page_offset;  /* SITE_FAULT: of the guest insn; SITE_EXIT: of the exit's target */
    uint32_t
        word; /* SITE_FAULT: the insn's target word; SITE_EXIT: offset of the rel32 to patch (4-byte aligned), 0: never link */
    uint16_t
        insn; /* number of the guest insn in the block (0-based); SITE_EXIT: number of insns done when leaving there */
    uint16_t kind; /* TcgSiteKind */
} TcgSite;

typedef enum TcgSiteKind { TCG_SITE_FAULT, TCG_SITE_EXIT } TcgSiteKind;

/* The result of compiling one block. Arrays belong to the compiler and live until its next block. */
typedef struct TcgCode {
    const uint8_t *code;
    uint32_t size;
    uint32_t hot_size;   /* what is behind it is out of line */
    uint32_t entry_link; /* offset at which linked jumps enter (past the patchable head) */
    const TcgSite *sites;
    unsigned n_sites;
} TcgCode;

/* ---- A host back end (tcg/x86_64/). One compiler object per thread. ---- */

typedef struct TcgCompiler TcgCompiler;

TcgCompiler *tcg_compiler_new(const TcgAbi *abi);
void tcg_compiler_free(TcgCompiler *c);
/* Compiles @ir (verified, optimised). False if it does not fit (more than 64 KiB of code or too many sites): the caller
 * translates fewer guest instructions. */
bool tcg_compiler_compile(TcgCompiler *c, const IrBlock *ir, TcgCode *out);

/* Writes the thunks at @rw (executed at @rx), at most @size bytes; stores their executable addresses into @fns at their TcgFn
 * indices and the entry function's into *@enter. Returns the bytes used. */
typedef TcgExit TcgEnterFn(void *cpu, const void *code);
size_t tcg_backend_make_thunks(const TcgAbi *abi, uint8_t *rw, uint8_t *rx, size_t size,
                               void *fns[TCG_N_FNS], TcgEnterFn **enter);

/* Links the exit at @site of the block to @target (an executable address), or unlinks it (back to its own stub). @rw is the
 * writable alias of the block's code, @rx where it executes. One aligned 4-byte store, safe while other threads execute.
 * A site with word 0 is never linked. */
void tcg_backend_link_exit(uint8_t *rw, const uint8_t *rx, const TcgSite *site,
                           const uint8_t *target);
void tcg_backend_unlink_exit(uint8_t *rw, const uint8_t *rx, const TcgSite *site);
/* Kills the block's entry at offset 0 (an 8-byte NOP, 8-byte aligned): from now on entering there calls
 * TCG_THUNK_DEAD. One aligned 8-byte store. Linked jumps (entry_link) must have been unlinked. */
void tcg_backend_kill_entry(const TcgAbi *abi, uint8_t *rw);
/* Undoes that, in the same way. */
void tcg_backend_revive_entry(uint8_t *rw);
/* Host disassembly of @size bytes at @code for -d out_asm (capstone), appended to @out with @base as address. */
void tcg_backend_disassemble(const uint8_t *code, size_t size, uint64_t base, GString *out);
/* One line on the host features in use ("bmi2 lzcnt ..."); tests switch them with tcg_backend_set_features(). */
const char *tcg_backend_features(void);

/* ---- The IR interpreter (tcg/interp.c): oracle of the JIT and portable back end ---- */

/* Interprets @ir from its first operation. Memory operations call the functions at abi.fn_table[TCG_FN_LOAD/STORE] (no fast path);
 * before anything that may fault it stores the address of the current INSN IrInsn (of @ir) into Cpu.host_pc's neighbour
 * via *@at, so that the run loop can restore. Exits set Cpu.arg[0] (page offset of the target, sign-extended) for
 * TCG_EXIT_DIRECT. In IR_CF_ICOUNT flavour it counts icount_left down by each insn at its INSN. */
TcgExit tcg_interp_run(const TcgAbi *abi, const IrBlock *ir, void *cpu, const IrInsn *volatile *at);

#endif

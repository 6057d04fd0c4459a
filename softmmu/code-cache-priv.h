/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code cache: translated blocks of all vCPUs, found by RAM offset and key, and the pages they were made from.
 *
 * Host code lies in one memfd mapped twice (writable, executable). Lookups take no lock: blocks are published by an atomic store at the head
 * of their hash chain, and a block's memory lives until the whole cache is flushed with every vCPU outside (a generation). A block dies
 * earlier when its bytes change: it leaves its chain, jumps to it are unlinked and its entry is killed. If the same bytes come back before the flush
 * (a page that was freed and read again, a breakpoint that was taken out), it lives again.
 *
 * Order that keeps stores and translations apart: a translator marks the page (code_page_begin), takes write permission from all TLBs,
 * notes the page's sequence number, reads the bytes, and publishes only if the number is the same; a store to a marked page is done
 * first and then bumps the number and kills the blocks (code_page_written). Who must get the host address first (atomics) marks the
 * page unsettled before that, and translators wait until all vCPUs have left guest code.
 */
#ifndef SOFTMMU_CODE_CACHE_PRIV_H
#define SOFTMMU_CODE_CACHE_PRIV_H

#include "softmmu/cpu.h"

/* An exit that jumps to a block. */
typedef struct CodeLink {
    struct CodeLink *next;
    CodeBlock *from;
    uint32_t site;
} CodeLink;

struct CodeBlock {
    BlockKey key;        /* phys holds the RAM offset */
    const uint8_t *code; /* executable address; NULL with -accel interp */
    uint32_t size;
    uint32_t entry_link;
    uint64_t chunks; /* of the first page: 64-byte chunks it was made from */
    uint16_t n_insns;
    uint16_t n_bytes; /* it was made from, of both pages */
    uint64_t bytes_hash;
    bool dead;
    bool has_page2;
    bool spin; /* it waits for another vCPU (ir_is_spin()) */
    unsigned n_sites;
    CodeBlock *older;        /* the one made before it */
    IrBlock *ir;             /* -accel interp */
    CodeBlock *next;         /* hash chain, atomic */
    CodeBlock *next_dead;    /* chain of dead ones by the same hash */
    CodeBlock *page_next[2]; /* lists of the pages it was made from */
    CodeLink *incoming;
    TcgSite sites[];
};

/* Makes the cache of @size bytes and the thunks for @abi (NULL: -accel interp, no code). */
bool code_cache_init(const TcgAbi *abi, uint64_t size, GError **error);
/* Stores the thunks' addresses; the enter function. */
void code_cache_thunks(void *fns[TCG_N_FNS], TcgEnterFn **enter);

/* The live block of @key, or NULL. No lock. */
CodeBlock *code_cache_find(const BlockKey *key);
/* Publishes a block whose sites and code (@code, or @ir taken over) are copied; @seq from code_page_begin() for both pages.
 * NULL with *full set: no room (flush and retry); NULL: the bytes changed meanwhile (translate again). If another thread was faster, its block. */
CodeBlock *code_cache_add(const CodeBlock *proto, const TcgCode *code, const uint32_t seq[2],
                          bool *full);
/* A block of @key that died and whose bytes came back as they were, alive again; NULL: there is none. @seq: of its page. */
CodeBlock *code_cache_revive(const BlockKey *key, uint32_t seq);
/* Counts the flushes; CodeBlock pointers are good within one generation. */
uint64_t code_cache_generation(void);
/* Drops everything. All vCPUs outside (cpu_exclusive_begin). */
void code_cache_flush(void);
/* The block whose code holds @host_pc. */
CodeBlock *code_cache_block_at(uint64_t host_pc);
/* The site whose call returns to @host_pc. */
const TcgSite *code_block_site(const CodeBlock *block, uint64_t host_pc);
/* Makes @from's exit @site jump straight to @to, unless one of them died. */
void code_cache_link(CodeBlock *from, const TcgSite *site, CodeBlock *to);

/* Marks the RAM page at @host as holding code, takes write permission from it and tells its sequence number. False: a vCPU may
 * still store to it through a translation or a pointer it had; call code_page_settle() with all vCPUs outside, and begin again. */
bool code_page_begin(const Cpu *self, const uint8_t *host, uint32_t *seq);
void code_page_settle(const uint8_t *host);
/* The caller, a vCPU executing guest code, is about to store @size bytes at @host, for which there is no write-TLB entry: kills the
 * blocks made from them, and makes later translations of the page wait until it has done so. */
void code_page_unsettle(const uint8_t *host, unsigned size);
bool code_page_has_code(const uint8_t *host);
/* Notes that a write entry of @va for the page is about to be made; false: it holds code, no entry may be made. */
bool code_page_note_writer(const uint8_t *host, uint64_t va);
/* Bytes of RAM were changed other than through a write-TLB entry: kills the blocks made from them. */
void code_page_written(uint64_t ram_offset, uint64_t len);

void code_cache_print(GString *out);

/* ---- cpu.c ---- */
/* Waits until no other vCPU executes guest code. With @self everything may be different afterwards, from the pc (reset, debugger) to the
 * code cache: it must go back to the run loop. Does so itself if the vCPU threads are to end. */
void cpu_exclusive_begin(Cpu *self);
void cpu_exclusive_end(Cpu *self);

#endif

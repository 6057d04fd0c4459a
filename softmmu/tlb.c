/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contexts and their TLBs: finding the context of a key, filling, flushing by address, ASID and whole, and taking write
 * permission from pages that hold translated code. See tlb-priv.h for the layout and who may touch what.
 */
#include "softmmu/tlb-priv.h"
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"

static const uint64_t slot0_invalid = 0x1000;

static void context_init_slots(TlbContext *ctx)
{
    ctx->read[0].tag = slot0_invalid;
    ctx->write[0].tag = slot0_invalid;
    ctx->jc[0].va = 1;
    for (unsigned i = 0; i < 2; i++) {
        ctx->super[i] = (TlbRange){ .first = UINT64_MAX, .last = 0 };
    }
}

static TlbContext *context_new(void)
{
    TlbContext *ctx = mmap(NULL, sizeof(TlbContext), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (ctx == MAP_FAILED) {
        g_error("cannot reserve %zu bytes for a TLB context", sizeof(TlbContext));
    }
    madvise(ctx, sizeof(TlbContext), MADV_NOHUGEPAGE);
    context_init_slots(ctx);
    return ctx;
}

void tlb_init_cpu(Cpu *cpu)
{
    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        cpu->contexts[i] = context_new();
    }
    cpu->ctx = cpu->contexts[0];
    cpu->ctx->in_use = true;
    memset(&cpu->context_keys[0], 0xff, sizeof(ContextKey));
}

void tlb_free_cpu(Cpu *cpu)
{
    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        munmap(cpu->contexts[i], sizeof(TlbContext));
    }
}

static bool dirty_test(const TlbDirty dirty, unsigned chunk)
{
    return dirty[chunk / 64] >> (chunk % 64) & 1;
}

static void dirty_set(TlbDirty dirty, unsigned chunk)
{
    dirty[chunk / 64] |= 1ull << (chunk % 64);
}

/* Zeroes the used chunks of a table. */
static void table_clear(void *table, size_t chunk_bytes, TlbDirty dirty)
{
    for (unsigned w = 0; w < TLB_N_CHUNKS / 64; w++) {
        for (uint64_t bits = dirty[w]; bits; bits &= bits - 1) {
            unsigned chunk = w * 64 + (unsigned)__builtin_ctzll(bits);

            memset((uint8_t *)table + chunk * chunk_bytes, 0, chunk_bytes);
        }
        dirty[w] = 0;
    }
}

static void context_flush_jumps(TlbContext *ctx)
{
    table_clear(ctx->jc, JC_CHUNK * sizeof(JumpEntry), ctx->jc_dirty);
    memset(ctx->fetch, 0, sizeof(ctx->fetch));
    memset(ctx->has_code, 0, sizeof(ctx->has_code));
    ctx->jc[0].va = 1;
}

static void context_flush(TlbContext *ctx)
{
    table_clear(ctx->read, TLB_CHUNK * sizeof(TlbEntry), ctx->read_dirty);
    table_clear(ctx->write, TLB_CHUNK * sizeof(TlbEntry), ctx->write_dirty);
    context_flush_jumps(ctx);
    context_init_slots(ctx);
    ctx->translated = false;
    ctx->n_private = 0;
}

static void entry_invalidate(TlbEntry *table, uint32_t index)
{
    __atomic_store_n(&table[index].tag, (uint64_t)(index ^ 1) << 12, __ATOMIC_RELAXED);
}

static void table_flush_page(TlbEntry *table, uint64_t va)
{
    uint32_t i = tlb_index(va);

    if (table[i].tag == (va & ~4095ull)) {
        entry_invalidate(table, i);
    }
}

/* Few flushed pages hold code: a filter tells which may have jump-cache entries. */
static bool *code_filter(TlbContext *ctx, uint64_t va)
{
    return &ctx->has_code[va >> 12 & (TLB_CODE_FILTER - 1)];
}

static void jump_drop(JumpEntry *e)
{
    e->code = NULL;
    e->va = 1; /* no slot's address is odd */
}

/* The jump-cache entries of a page are contiguous; the one before may belong to an insn crossing into this page. */
static void jumps_flush_page(TlbContext *ctx, uint64_t va)
{
    uint64_t page = va & ~4095ull;
    FetchEntry *f = &ctx->fetch[(va >> 12) & (FETCH_SIZE - 1)];
    JumpEntry *before = tlb_jump_entry(ctx, page - 2);

    if (f->va == page) {
        f->host = NULL;
    }
    if (before->va == page - 2) {
        jump_drop(before);
    }
    if (!*code_filter(ctx, page)) {
        return;
    }
    for (unsigned offset = 0; offset < 4096; offset += 2) {
        JumpEntry *e = tlb_jump_entry(ctx, page + offset);

        if (e->va == page + offset) {
            jump_drop(e);
        }
    }
}

static void context_flush_page(Cpu *cpu, TlbContext *ctx, uint64_t va)
{
    const TlbRange *super = &ctx->super[va >> 63];

    if (va >= super->first && va <= super->last) {
        cpu->stats.flush_contexts++;
        context_flush(ctx);
        return;
    }
    cpu->stats.flush_pages++;
    table_flush_page(ctx->read, va);
    table_flush_page(ctx->write, va);
    jumps_flush_page(ctx, va);
}

/* Drops what a shared context has of its present address space only. */
static void context_flush_private(Cpu *cpu, TlbContext *ctx)
{
    if (ctx->n_private > TLB_MAX_PRIVATE) {
        cpu->stats.flush_contexts++;
        context_flush(ctx);
    }
    for (unsigned i = 0; i < ctx->n_private; i++) {
        table_flush_page(ctx->read, ctx->private_pages[i]);
        table_flush_page(ctx->write, ctx->private_pages[i]);
        jumps_flush_page(ctx, ctx->private_pages[i]);
    }
    ctx->n_private = 0;
}

void cpu_tlb_flush(Cpu *cpu, const TlbFlush *what)
{
    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        TlbContext *ctx = cpu->contexts[i];

        if (!ctx->in_use || !ctx->translated ||
            (what->by_asid && cpu->context_keys[i].asid != what->asid)) {
            continue;
        }
        if (what->by_va) {
            context_flush_page(cpu, ctx, what->va);
        } else if (what->by_asid && ctx->shared) {
            context_flush_private(cpu, ctx);
        } else {
            cpu->stats.flush_contexts++;
            context_flush(ctx);
        }
    }
}

void cpu_tlb_flush_all(Cpu *cpu)
{
    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        if (cpu->contexts[i]->in_use) {
            context_flush(cpu->contexts[i]);
        }
    }
}

void tlb_flush_jumps_all(void)
{
    for (unsigned c = 0; c < cpus->len; c++) {
        Cpu *cpu = g_ptr_array_index(cpus, c);

        for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
            if (cpu->contexts[i]->in_use) {
                context_flush_jumps(cpu->contexts[i]);
            }
        }
    }
}

static unsigned key_hash(const ContextKey *key)
{
    uint64_t h = key->shared ? key->mode : key->root ^ ((uint64_t)key->asid << 32 | key->mode);

    return (unsigned)((h * 0x9e3779b97f4a7c15ull) >> 58);
}

static bool key_equal(const ContextKey *a, const ContextKey *b)
{
    return a->mode == b->mode && a->shared == b->shared &&
           (a->shared || (a->root == b->root && a->asid == b->asid));
}

/* The slot of @key, or the least recently used one emptied for it. */
static unsigned context_find(Cpu *cpu, const ContextKey *key)
{
    unsigned oldest = 0;

    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        if (cpu->contexts[i]->in_use && key_equal(&cpu->context_keys[i], key)) {
            return i;
        }
        if (cpu->contexts[i]->stamp < cpu->contexts[oldest]->stamp) {
            oldest = i;
        }
    }
    if (cpu->contexts[oldest]->in_use) {
        cpu->stats.context_recycles++;
        context_flush(cpu->contexts[oldest]);
    }
    cpu->contexts[oldest]->in_use = true;
    cpu->contexts[oldest]->shared = key->shared;
    cpu->context_keys[oldest] = *key;
    return oldest;
}

void cpu_set_context(Cpu *cpu, const ContextKey *key)
{
    unsigned hash = key_hash(key), slot = cpu->context_hint[hash];

    cpu->stats.context_switches++;
    if (!key_equal(&cpu->context_keys[slot], key) || !cpu->contexts[slot]->in_use) {
        slot = context_find(cpu, key);
        cpu->context_hint[hash] = (uint8_t)slot;
    }
    cpu->ctx = cpu->contexts[slot];
    if (key->shared &&
        (cpu->context_keys[slot].root != key->root || cpu->context_keys[slot].asid != key->asid)) {
        context_flush_private(cpu, cpu->ctx);
        cpu->context_keys[slot] = *key;
    }
    cpu->ctx->stamp = ++cpu->context_clock;
}

static void note_private(TlbContext *ctx, uint64_t page)
{
    if (ctx->n_private < TLB_MAX_PRIVATE) {
        ctx->private_pages[ctx->n_private++] = page;
    } else {
        ctx->n_private = TLB_MAX_PRIVATE + 1;
    }
}

static void note_mapping(TlbContext *ctx, uint64_t va, const TlbFill *fill)
{
    if (fill->page_bits >= 64) {
        return;
    }
    ctx->translated = true;
    if (ctx->shared && !fill->global) {
        note_private(ctx, va & ~4095ull);
    }
    if (fill->page_bits > 12) {
        uint64_t mask = (1ull << fill->page_bits) - 1;
        TlbRange *r = &ctx->super[va >> 63];

        r->first = MIN(r->first, va & ~mask);
        r->last = MAX(r->last, va | mask);
    }
}

static void entry_set(TlbEntry *table, TlbDirty dirty, uint64_t va, uint8_t *host)
{
    uint32_t i = tlb_index(va);

    dirty_set(dirty, i / TLB_CHUNK);
    /* Tag last and first: another thread may read the entry to invalidate it, generated code is this thread's. */
    table[i].addend = (uint64_t)host;
    __atomic_store_n(&table[i].tag, va & ~4095ull, __ATOMIC_RELEASE);
}

void tlb_insert(Cpu *cpu, uint64_t va, uint8_t *host, uint8_t prot, const TlbFill *fill)
{
    TlbContext *ctx = cpu->ctx;

    if (cpu_config.no_tlb) {
        return;
    }
    note_mapping(ctx, va, fill);
    if (prot & MEM_PROT_R) {
        entry_set(ctx->read, ctx->read_dirty, va, host);
    }
    if ((prot & MEM_PROT_W) && code_page_note_writer(host, va)) {
        entry_set(ctx->write, ctx->write_dirty, va, host);
        /* Another vCPU may be translating from the page just now: it marks the page, then looks for writers; we make the entry, then
         * look for the mark. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (code_page_has_code(host)) {
            entry_invalidate(ctx->write, tlb_index(va));
        }
    }
}

void tlb_insert_fetch(Cpu *cpu, uint64_t va, uint8_t *host, const TlbFill *fill)
{
    if (cpu_config.no_tlb) {
        return;
    }
    note_mapping(cpu->ctx, va, fill);
    cpu->ctx->fetch[(va >> 12) & (FETCH_SIZE - 1)] =
        (FetchEntry){ .va = va & ~4095ull, .host = host };
}

void tlb_insert_jump(Cpu *cpu, uint64_t va, const void *code)
{
    JumpEntry *e = tlb_jump_entry(cpu->ctx, va);

    if (cpu_config.no_tlb) {
        return;
    }
    dirty_set(cpu->ctx->jc_dirty, (unsigned)(e - cpu->ctx->jc) / JC_CHUNK);
    *code_filter(cpu->ctx, va) = true;
    e->va = va;
    e->code = code;
}

/* Drops write entry @i if it is for the RAM page at @host. */
static bool entry_protect(TlbContext *ctx, uint32_t i, uint64_t host)
{
    if (__atomic_load_n(&ctx->write[i].addend, __ATOMIC_RELAXED) != host ||
        tlb_index(__atomic_load_n(&ctx->write[i].tag, __ATOMIC_RELAXED)) != i) {
        return false;
    }
    entry_invalidate(ctx->write, i);
    return true;
}

static bool table_protect(TlbContext *ctx, uint64_t host)
{
    bool dropped = false;

    for (unsigned chunk = 0; chunk < TLB_N_CHUNKS; chunk++) {
        if (!dirty_test(ctx->write_dirty, chunk)) {
            continue;
        }
        for (uint32_t i = chunk * TLB_CHUNK; i < (chunk + 1) * TLB_CHUNK; i++) {
            dropped |= entry_protect(ctx, i, host);
        }
    }
    return dropped;
}

bool tlb_protect_page(const Cpu *self, const uint8_t *host)
{
    bool others = false;

    for (unsigned c = 0; c < cpus->len; c++) {
        Cpu *cpu = g_ptr_array_index(cpus, c);

        for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
            if (cpu->contexts[i]->in_use && table_protect(cpu->contexts[i], (uint64_t)host)) {
                others |= cpu != self;
            }
        }
    }
    return others;
}

bool tlb_protect_at(const Cpu *self, const uint8_t *host, uint64_t va)
{
    bool others = false;

    for (unsigned c = 0; c < cpus->len; c++) {
        Cpu *cpu = g_ptr_array_index(cpus, c);

        for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
            if (cpu->contexts[i]->in_use &&
                entry_protect(cpu->contexts[i], tlb_index(va), (uint64_t)host)) {
                others |= cpu != self;
            }
        }
    }
    return others;
}

void cpu_tlb_info(Cpu *cpu, GString *out)
{
    for (unsigned i = 0; i < CPU_N_CONTEXTS; i++) {
        const TlbContext *ctx = cpu->contexts[i];
        const ContextKey *key = &cpu->context_keys[i];
        unsigned n = 0, writable = 0;

        if (!ctx->in_use) {
            continue;
        }
        for (uint32_t e = 0; e < TLB_SIZE; e++) {
            if (dirty_test(ctx->read_dirty, e / TLB_CHUNK) && tlb_index(ctx->read[e].tag) == e &&
                ctx->read[e].addend) {
                n++;
                writable += ctx->write[e].tag == ctx->read[e].tag;
            }
        }
        g_string_append_printf(out,
                               "context %u%s: root %#" PRIx64
                               " asid %u mode %#x%s: %u pages cached, %u writable\n",
                               i, ctx == cpu->ctx ? " (current)" : "", key->root, key->asid,
                               key->mode, key->shared ? " shared" : "", n, writable);
    }
}
